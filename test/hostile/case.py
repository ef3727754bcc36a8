# SPDX-License-Identifier: Apache-2.0
"""A hostile stage and what the pipeline promises for it."""

from __future__ import annotations

import ast
import enum
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

FOLDER = Path(__file__).parent


class Promise(enum.Enum):
    """What becomes of a hostile stage's items and worker. One item in the middle is trouble."""

    ANSWERED = 'every item is answered by the same worker'
    REPLACED = 'every item is answered; the worker is replaced'
    FAILED = 'that item is quarantined with the cause; the worker lives'
    DIED = 'that item is quarantined with the cause; its workers are replaced'
    ALL_FAILED = 'every item is quarantined with the cause; the worker lives'
    NEVER = 'no item is lost; diagnostics name the cause at each attempt to start it'
    REFUSED = 'nothing is started; one line names the class and the cause'


@attrs.frozen
class Case:
    """A hostile stage.

    Attributes:
        plugin: Its class, below the package ``hostile``; the class's docstring describes it.
        promise: What becomes of it.
        cause: The text that diagnostics, quarantine or the refusal contain.
        log: A text that the log contains.
        source: The thread in a public issue tracker that describes the same.
        settings: Its parameters.
        input: The stage that feeds it; '' for the test.
        reader: The class of the stage that reads its output, if its messages are not headers.
    """

    plugin: str
    promise: Promise = Promise.ANSWERED
    cause: str = ''
    log: str = ''
    source: str = ''
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    input: str = ''
    reader: str = ''

    @property
    def name(self) -> str:
        """Return the name of its stage."""
        module, _, name = self.plugin.partition(':')
        return module if name == 'Stage' else re.sub(r'(?<!^)(?=[A-Z])', '_', name).lower()

    @property
    def description(self) -> str:
        """Return what it does, from its docstring: its module is not imported here."""
        module, _, name = self.plugin.partition(':')
        return _docstrings(module).get(name) or _docstrings(module)['']


@functools.cache
def _docstrings(module: str) -> dict[str, str]:
    tree = ast.parse((FOLDER / f'{module}.py').read_text())
    found = {'': ast.get_docstring(tree) or ''}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = ' '.join((ast.get_docstring(node) or '').split())
    return found


@attrs.frozen
class Group:
    """Cases that share a pipeline, beside a stage that is not hostile.

    Attributes:
        name: Its name in commands and tests.
        cases: The cases.
        title: The heading of its table.
        settings: Those of its pipeline.
        stage_settings: Those of each stage.
        blocked: Why some promise is not kept yet; '' if all are.
    """

    name: str
    cases: tuple[Case, ...]
    title: str = ''
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    stage_settings: Mapping[str, Any] = attrs.field(factory=dict)
    blocked: str = ''
