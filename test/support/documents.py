"""What the documents say: the tables of a section, and their fenced blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / 'docs'
REFERENCE = DOCS / 'reference.md'


def section(document: Path, heading: str) -> str:
    """The text below a heading, to the next one."""
    text = document.read_text()
    found = re.search(
        rf'^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)', text, re.DOTALL | re.MULTILINE
    )
    assert found, f'{document.name} has no section {heading!r}'
    return found[1]


def tables(document: Path, heading: str) -> list[list[dict[str, str]]]:
    """The tables of a section, each a list of rows: heading to cell."""
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
    """A column of the tables of a section, without the marks of code; None is found twice."""
    rows = [row for table in tables(document, heading) for row in table if name in row]
    found = [row[name].replace('`', '') for row in rows]
    assert found, f'{document.name}, {heading!r}: no table has a column {name!r}'
    assert len(found) == len(set(found)), f'{document.name}, {heading!r}: {name!r} is told twice'
    return found


def compare(found: set[str], documented: set[str], heading: str, what: str) -> None:
    """AssertionError where they differ; it says what is to be written where."""
    told = []
    if found - documented:
        told.append(f'write a row for {sorted(found - documented)}')
    if documented - found:
        told.append(f'there is none of {sorted(documented - found)}')
    assert not told, f'docs/reference.md, {heading!r}: {what}: {"; ".join(told)}'


class Block(NamedTuple):
    """A fenced block: what its fence says, and the line of text before it."""

    language: str
    before: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """The file that the line before names as one to be written; '' for none."""
        named = re.fullmatch(r'.*`([\w./]+\.\w+)`:', self.before)
        return named[1] if named else ''


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    found: list[Block] = []
    before, language, lines, start = '', None, [], 0
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
