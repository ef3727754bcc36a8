# SPDX-License-Identifier: Apache-2.0
"""The lines of the screen: a pure function of the pipeline's state and the controls."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import attrs
from rich.text import Text

from worker_pipeline.monitor.columns import format_duration
from worker_pipeline.monitor.controls import Controls, Row, rows_of
from worker_pipeline.monitor.glyphs import ASCII, UNICODE, Glyphs
from worker_pipeline.monitor.model import Manager
from worker_pipeline.monitor.table import Table

RECENT = 1.5  # s; diagnostics come every second
# The least heights for a title and messages, for headings and hints, and for empty lines.
WITH_TITLE, WITH_HEADINGS, WITH_SPACING = 3, 8, 16
MAX_MESSAGE_LINES = 3

KEYS = {
    'nothing': (),
    'manager': (('p', 'pause'), ('r', 'resume'), ('d', 'drain')),
    'stage': (
        *(('p', 'pause'), ('r', 'resume'), ('+ -', 'workers')),
        *(('f', 'flush'), ('d', 'drain')),
    ),
    'worker': (('c', 'cordon, uncordon'),),
}
FIXED_HINTS = (('?', 'help'), ('q', 'quit'))
HELP = """\
arrows, j k, home, end   select the manager, a stage or a worker
p    pause the stage, or with the manager selected the whole pipeline
r    resume it
+ -  add or remove a worker of the stage
f    flush: drop the items in the stage's queue
d    drain: wait until the present items have left the stage or pipeline
c    cordon the worker: take it out of service, or put it back
q    quit, as Ctrl-C does; the pipeline keeps running

queue        items that wait, and how many may
held         items in flight: given to workers, not answered yet
p50, p99     latency of the latest items, from acceptance to answer
quarant.     quarantined items
redelivered  items given to another worker, as the first was lost
busy %       share of its time that a worker processes items
cpu %        100 is one processor
! x ?        warning, error, silent"""


@attrs.frozen
class Scene:
    """Everything that the screen depends on."""

    namespace: str
    managers: Sequence[Manager]
    controls: Controls
    now: float  # s
    waiting: str = ''  # the message while there is no manager


def screen(scene: Scene, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """Return ``height`` lines of at most ``width`` columns, among them the selected one.

    Args:
        scene: the content.
        width: of the screen, in columns.
        height: of the screen, in lines.
        glyphs: the characters to use.
    """
    rows = rows_of(scene.managers)
    selected = scene.controls.selected(rows)
    table = Table.of(rows, width, glyphs)
    head = _head(scene, table, height, has_table=bool(rows) and not scene.controls.shows_help)
    messages, foot = _foot(scene, rows[selected] if rows else None, width, height, glyphs)
    body = _body(scene, table, rows, selected)
    room = height - len(head) - len(foot)
    first = _first_visible([row for _, row in body], selected, room)
    shown = [line for line, _ in body[first : first + room]]
    if messages and len(shown) < len(body):
        range_shown = f'lines {first + 1}-{first + len(shown)} of {len(body)}'
        _append_right(messages[-1], range_shown, width)
    lines = [*head, *shown, *(Text() for _ in range(room - len(shown))), *foot]
    return [_fit(line, width, glyphs) for line in lines]


def _head(scene: Scene, table: Table, height: int, *, has_table: bool) -> list[Text]:
    title = [_title(scene, table.width)] if height >= WITH_TITLE else []
    space = [Text()] if height >= WITH_SPACING else []
    return [*title, *space, *(table.headings() if has_table and height >= WITH_HEADINGS else [])]


def _foot(
    scene: Scene, row: Row | None, width: int, height: int, glyphs: Glyphs
) -> tuple[list[Text], list[Text]]:
    """Return the lines with messages, and all lines below the body, which begin with them."""
    if height < WITH_TITLE:
        return [], []
    messages = _messages(scene, width, MAX_MESSAGE_LINES if height >= WITH_SPACING else 1, glyphs)
    hints = [_hints(scene, row, width, glyphs)] if height >= WITH_HEADINGS else []
    return messages, [*messages, *hints]


def _body(scene: Scene, table: Table, rows: Sequence[Row], selected: int) -> list[tuple[Text, int]]:
    """Return the lines that scroll, each with the index of its row."""
    if rows and not scene.controls.shows_help:
        return list(table.body(rows, scene.now, selected))
    text = HELP if scene.controls.shows_help else scene.waiting
    return [(Text(f' {line}'), -1) for line in text.splitlines()]


def snapshot(scene: Scene, width: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """Return all lines of at most ``width`` columns, for a file or a pipe.

    Args:
        scene: The content.
        width: Columns of the screen.
        glyphs: The characters to draw with.
    """
    rows = rows_of(scene.managers)
    table = Table.of(rows, width, glyphs)
    body = [line for line, _ in table.body(rows, scene.now, -1)]
    lines = [_title(scene, width), *table.headings(), *body]
    return [_fit(line, width, glyphs) for line in lines]


def _first_visible(rows: Sequence[int], selected: int, room: int) -> int:
    """Return the first line of the scrolling part to show, so that the selected one is visible."""
    place = rows.index(selected) if selected in rows else 0
    return max(0, min(place - room // 2, len(rows) - room))


def _title(scene: Scene, width: int) -> Text:
    managers = scene.managers
    title = Text(' ')
    title.append(scene.namespace, 'bold')
    if not managers:
        return title
    spares = sum(each.spares or 0 for each in managers)
    restarts = sum(each.restarts or 0 for each in managers)
    if len(managers) == 1:
        facts = [managers[0].state, f'up {format_duration(managers[0].age)}']
    else:
        facts = [f'{len(managers)} managers']
    facts += [_counted(spares, 'spare'), _counted(restarts, 'restart')]
    right, style = _freshness(scene)
    for fact in facts:
        if title.cell_len + len(fact) + len(right) + 7 <= width:
            title.append(f'   {fact}')
    _append_right(title, right, width, style)
    return title


def _freshness(scene: Scene) -> tuple[str, str]:
    """Return a text about the age of the diagnostics, and its style."""
    managers = scene.managers
    newest = min(each.silence(scene.now) for each in managers)
    silent = [each for each in managers if each.is_silent(scene.now)]
    if silent:
        longest = max(each.silence(scene.now) for each in silent)
        subject = 'MANAGER' if len(managers) == 1 else f'{len(silent)} OF {len(managers)} MANAGERS'
        return f' {subject} SILENT FOR {format_duration(longest)} ', 'bold reverse red'
    if all(each.has_ended(scene.now) for each in managers):
        return f'ended {format_duration(newest)} ago', 'bold'
    return f'updated {"just now" if newest < RECENT else f"{newest:.0f} s ago"}', 'dim'


def _counted(number: int, what: str) -> str:
    return f'{number} {what}' if number == 1 else f'{number} {what}s'


def _messages(scene: Scene, width: int, most: int, glyphs: Glyphs) -> list[Text]:
    """Return a question, or the pending commands and the last message: at least one line."""
    controls, notice = scene.controls, scene.controls.notice(scene.now)
    parts, style = [], 'bold red' if notice and notice.is_error else 'green'
    if controls.pending:
        command, since = next(reversed(controls.pending.items()))
        others = len(controls.pending) - 1
        more = f' and {others} more' if others else ''
        parts.append(
            f'{command.description}{more}: for {format_duration(scene.now - since)}{glyphs.dots}'
        )
        style = '' if notice is None else style
    if notice:
        parts.append(notice.text)
    if controls.question:
        parts, style = [f'{controls.question.text} (y, n)'], 'bold yellow'
    lines = textwrap.wrap('   '.join(parts), max(1, width - 2)) or ['']
    return [Text(f' {line}', style) for line in lines[:most]]


def _hints(scene: Scene, row: Row | None, width: int, glyphs: Glyphs) -> Text:
    if scene.controls.question:
        return Text.assemble(' ', ('y', 'bold'), (' yes  ', 'dim'), ('n', 'bold'), (' no', 'dim'))
    kind = 'nothing'
    if row is not None:
        kind = 'worker' if row.worker else 'stage' if row.stage else 'manager'
    select = ((glyphs.arrows, 'select'),) if row else ()
    hints = [*select, *KEYS[kind], *FIXED_HINTS]
    # If there is no room for all, the help has the others.
    while len(hints) > len(FIXED_HINTS) and sum(len(k) + len(w) + 3 for k, w in hints) > width + 1:
        hints.pop(-len(FIXED_HINTS) - 1)
    line = Text(' ')
    for key, what in hints:
        line.append(key, 'bold')
        line.append(f' {what}  ', 'dim')
    line.right_crop(2)
    return line


def _append_right(line: Text, text: str, width: int, style: str = 'dim') -> None:
    """Put text at the right end of a line, which is cut if necessary."""
    left = max(0, width - len(text) - 1)
    line.truncate(left)
    line.pad_right(left - line.cell_len)
    line.append(text, style)


def _fit(line: Text, width: int, glyphs: Glyphs) -> Text:
    if glyphs is ASCII:
        # Before measuring: a character without width may be replaced by one that has.
        line.plain = line.plain.encode('ascii', 'replace').decode('ascii')
    line.truncate(width)
    return line
