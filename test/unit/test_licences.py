# SPDX-License-Identifier: Apache-2.0
"""Every source file names its licence, for people and tools that see the file alone."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
IDENTIFIER = 'SPDX-License-Identifier: Apache-2.0'
SUFFIXES = {'.py', '.sh', '.yml', '.yaml', '.toml', '.cfg', '.cpp', '.hpp'}
NAMES = {'Makefile', 'Dockerfile', 'CMakeLists.txt', 'run'}


def source_files() -> list[Path]:
    """Return the source files of the repository; git may be missing, so .gitignore is read."""
    ignored = (REPOSITORY / '.gitignore').read_text().splitlines()
    skipped = {'.git', *(each.rstrip('/') for each in ignored)}
    top = [each for each in REPOSITORY.iterdir() if each.name not in skipped]
    found = [path for each in top for path in ([each] if each.is_file() else each.rglob('*'))]
    return [
        path
        for path in found
        if path.is_file()
        and (path.suffix in SUFFIXES or path.name in NAMES)
        and skipped.isdisjoint(path.relative_to(REPOSITORY).parts)
    ]


def names_its_licence(text: str) -> bool:
    """Return whether the first line, or the one after a shebang, is the identifier."""
    lines = text.splitlines()
    first = lines[1] if lines[0].startswith('#!') and len(lines) > 1 else lines[0]
    return first in (f'# {IDENTIFIER}', f'// {IDENTIFIER}')


def test_the_whole_repository_is_searched():
    names = {path.relative_to(REPOSITORY).as_posix() for path in source_files()}
    assert {'Makefile', '.ci/run', '.github/workflows/test.yml', 'setup.py'} <= names
    assert 'worker_pipeline/stage.py' in names


def test_every_file_that_is_not_empty_begins_with_its_licence():
    texts = {path: path.read_text() for path in source_files()}
    without = [path for path, text in texts.items() if text.strip() and not names_its_licence(text)]
    assert [path.relative_to(REPOSITORY).as_posix() for path in sorted(without)] == []
