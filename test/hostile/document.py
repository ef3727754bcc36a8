# SPDX-License-Identifier: Apache-2.0
"""Writes docs/hostile_stages.md: ``python -m hostile.document``, from the table and before.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hostile.case import FOLDER, Case
from hostile.table import CASES, PIPELINES, REFUSALS

DOCUMENT = FOLDER.parents[1] / 'docs' / 'hostile_stages.md'
BEFORE = FOLDER / 'before.json'
MAX_TEXT = 140  # characters of a cell
HEAD = """# Hostile stages

{count} stages do what beginners' code and libraries do. Written by `python -m hostile.document`
from `test/hostile/table.py`; do not edit. `test/ros/test_hostile_stages.py` runs them, in pipelines
beside a stage that is not hostile, and asserts for each pipeline:

- the other stage answers all its items, in order and once, and its worker is never replaced;
- each hostile stage ends as its row says, and the cause is named;
- on SIGINT the manager ends with exit code 0 within `shutdown_timeout` and {margin:g} s, and leaves
  no process, no file in shared memory or in the folder for temporary files, and no socket.

`PYTHONPATH=.:test python -m hostile NAME ...` runs single ones. Each stage gets {items} items, of
which one is trouble. *Before* is what was measured with {commit}, each stage in a pipeline of its
own; "as now" means that it ended as the next column says.
"""
LEFT_OUT = """## Left out

| case | why |
| --- | --- |
| signals to the parent process and to others that are not the stage's own | no code can be kept \
from ending processes of its own user; the [fork server](failure_modes.md#the-fork-server) is \
restarted |
| closing the file descriptors 0 to 20, of which most are not the stage's own | rclpy's executor \
waits for what is closed and hangs, if it is among them; the worker is replaced as `not ready` |
| endless recursion with a recursion limit raised by far | CPython overflows its stack, as its \
documentation says; then as `segfaults_itself` |
| a library's threads used before a fork of the stage itself, and after it in the child | may hang \
within the library (opencv/opencv#5150, microsoft/onnxruntime#31961) |
| `rclpy.shutdown()` in a callback of an executor | may hang within rclpy (ros2/rclpy#944); \
otherwise as `shuts_rclpy_down` |
"""


def document() -> str:
    """Return the whole document."""
    from hostile.run import ITEMS, STOP_MARGIN

    before = json.loads(BEFORE.read_text())
    commit = f'commit {before["commit"]} ({before["date"]})'
    parts = [HEAD.format(count=len(CASES), items=ITEMS, commit=commit, margin=2 * STOP_MARGIN)]
    sections = [
        (group.title + (f' (not all yet: {group.blocked})' if group.blocked else ''), group.cases)
        for group in PIPELINES
    ]
    for title, cases in [*sections, ('Classes that cannot work', REFUSALS)]:
        parts.append(f'## {title}\n\n{_table(cases, before["broken"])}\n')
    return '\n'.join([*parts, LEFT_OUT])


def _table(cases: Iterable[Case], before: dict[str, list[str]]) -> str:
    rows = [
        '| stage | it | before | now | as in |',
        '| --- | --- | --- | --- | --- |',
        *(_row(case, before.get(case.name)) for case in cases),
    ]
    return '\n'.join(rows)


def _row(case: Case, broken: list[str] | None) -> str:
    then = 'not measured' if broken is None else _cell('; '.join(broken)) or 'as now'
    now = case.promise.value
    if case.cause:
        now += f': `{_cell(case.cause)}`'
    repository, _, number = case.source.partition('#')
    source = f'[{case.source}](https://github.com/{repository}/issues/{number})' if number else ''
    return f'| `{case.name}` | {_cell(case.description)} | {then} | {now} | {source} |'


def _cell(text: str) -> str:
    text = ' '.join(text.split()).replace('|', '\\|')
    return text if len(text) <= MAX_TEXT else f'{text[: MAX_TEXT - 2]} …'


def main() -> None:
    """Write the document."""
    Path(DOCUMENT).write_text(document())


if __name__ == '__main__':
    main()
