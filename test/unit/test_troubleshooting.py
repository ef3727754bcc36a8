# SPDX-License-Identifier: Apache-2.0
"""docs/troubleshooting.md quotes the messages of the code, and explains every warning."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from support.documents import DOCS

PACKAGE = DOCS.parent / 'worker_pipeline'
TROUBLESHOOTING = DOCS / 'troubleshooting.md'
# Reports of the reference mission's stages are explained on the stage's page.
REFERENCE_MISSION = {'airside', 'mission', 'simulation'}
FRAMEWORK = [
    path
    for path in sorted(PACKAGE.rglob('*.py'))
    if not REFERENCE_MISSION & {*path.relative_to(PACKAGE).parts}
]
VARIABLE = '…'


def template(node: ast.expr) -> str | None:
    """Return a string's text with its variable parts as an ellipsis; None for no string."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [template(each) or VARIABLE for each in node.values]
        return re.sub(f'{VARIABLE}+', VARIABLE, ''.join(parts))
    return None


@cache
def nodes() -> dict[str, list[ast.AST]]:
    """Return all nodes of each of the framework's modules, by its path."""
    return {
        str(path.relative_to(PACKAGE.parent)): [*ast.walk(ast.parse(path.read_text()))]
        for path in FRAMEWORK
    }


@cache
def templates() -> set[str]:
    """Return every string of the framework's code but the docstrings."""
    found = set()
    for all_nodes in nodes().values():
        docstrings = {id(node.value) for node in all_nodes if isinstance(node, ast.Expr)}
        strings = (each for each in all_nodes if isinstance(each, (ast.Constant, ast.JoinedStr)))
        found |= {template(each) for each in strings if id(each) not in docstrings}
    return {text for text in found if text}


def quoted() -> list[str]:
    """Return the messages that the tables quote, in the order of the page."""
    rows = re.findall(r'^\| `([^`]+)`', TROUBLESHOOTING.read_text(), re.MULTILINE)
    assert len(rows) > 20
    return rows


def fits(message: str, text: str) -> bool:
    """Whether a quoted message is a part of a text; an ellipsis stands for anything."""
    parts = [re.escape(part) for part in message.split(VARIABLE)]
    return re.search('.*'.join(parts), text) is not None


def logged() -> Iterator[tuple[str, str]]:
    """Yield where a warning or error is logged, and its text."""
    for path, all_nodes in nodes().items():
        for node in all_nodes:
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ('warning', 'error', 'fatal')
                and 'logger' in ast.unparse(node.func.value)
                and node.args
                and (text := template(node.args[0]))
            ):
                yield f'{path}:{node.lineno}', text


def test_every_quoted_message_is_one_of_the_code():
    """A message that was reworded is named here."""
    stale = [each for each in quoted() if not any(fits(each, text) for text in templates())]
    assert not stale, f'docs/troubleshooting.md quotes what no code says: {stale}'


def test_every_warning_and_error_of_the_framework_is_explained():
    """Those with a text at the place of the log call."""
    messages = quoted()
    missing = [
        f'{where}: {text}'
        for where, text in logged()
        if not any(fits(each, text) for each in messages)
    ]
    assert not missing, 'docs/troubleshooting.md needs a row for:\n' + '\n'.join(missing)
