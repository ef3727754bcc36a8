# SPDX-License-Identifier: Apache-2.0
"""Reading the documents: tables of a section, and fenced blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / 'docs'
REFERENCE = DOCS / 'reference.md'
# A number of several digits, or with a fraction, is another one each time; a short one is compared.
VARIABLE = re.compile(r'(…|\d+\.\d+|\d{2,}|\s+)')


def section(document: Path, heading: str) -> str:
    """Return the text below a heading, up to the next one."""
    text = document.read_text()
    found = re.search(
        rf'^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)', text, re.DOTALL | re.MULTILINE
    )
    assert found, f'{document.name} has no section {heading!r}'
    return found[1]


def tables(document: Path, heading: str) -> list[list[dict[str, str]]]:
    """Return the tables of a section, each a list of rows: heading to cell."""
    made: list[list[dict[str, str]]] = []
    headings: list[str] = []
    for line in section(document, heading).splitlines():
        if not line.startswith('|'):
            headings = []
            continue
        cells = [each.strip() for each in re.split(r'(?<!\\)\|', line)[1:-1]]
        if not headings:
            headings = cells
            made.append([])
        elif set(line) - set('| -'):
            made[-1].append(dict(zip(headings, cells, strict=True)))
    return made


def column(document: Path, heading: str, name: str) -> list[str]:
    """Return a column of a section's tables, without code marks; fail on duplicates.

    Args:
        document: The Markdown file.
        heading: The heading of the section.
        name: The heading of the column.
    """
    rows = [row for table in tables(document, heading) for row in table if name in row]
    found = [row[name].replace('`', '') for row in rows]
    assert found, f'{document.name}, {heading!r}: no table has a column {name!r}'
    assert len(found) == len(set(found)), f'{document.name}, {heading!r}: {name!r} is there twice'
    return found


def compare(found: set[str], documented: set[str], heading: str, what: str) -> None:
    """Raise AssertionError if they differ, with the rows to write or to delete.

    Args:
        found: The names in the code.
        documented: The names in the document.
        heading: The heading of the section.
        what: The kind of the names, for the error.
    """
    problems = []
    if found - documented:
        problems.append(f'write a row for {sorted(found - documented)}')
    if documented - found:
        problems.append(f'there is none of {sorted(documented - found)}')
    assert not problems, f'docs/reference.md, {heading!r}: {what}: {"; ".join(problems)}'


class Block(NamedTuple):
    """A fenced block: its language, and the line of text before it."""

    language: str
    before: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """Return the file that the line before names as one to write; '' for none."""
        named = re.fullmatch(r'.*`([\w./]+\.\w+)`:', self.before)
        return named[1] if named else ''


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a document, in order."""
    found: list[Block] = []
    before, start = '', 0
    language: str | None = None
    lines: list[str] = []
    for number, line in enumerate(document.read_text().splitlines(), 1):
        if line.startswith('```'):
            if language is None:
                language, lines, start = line[3:].strip(), [], number
            else:
                found.append(Block(language, before, '\n'.join(lines) + '\n', start))
                language, before = None, ''
        elif language is not None:
            lines.append(line)
        elif line.strip():
            before = line.strip()
    return found


def missing(expected: str, printed: str) -> str:
    """Return the first expected line that was not printed, in order; or ''."""
    lines = iter(printed.splitlines())
    for line in expected.splitlines():
        parts = VARIABLE.split(line)
        pattern = ''.join(
            re.escape(part) if index % 2 == 0 else _variable(part)
            for index, part in enumerate(parts)
        )
        if not any(re.search(pattern, each) for each in lines):
            return line
    return ''


def _variable(part: str) -> str:
    return '.*' if part == '…' else r'\s+' if part.isspace() else r'\d[\d.]*'
