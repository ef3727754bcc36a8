"""What the screen shows, line by line: a pure function of what is known and selected."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import attrs
from rich.text import Text

from worker_pipeline.monitor.columns import duration
from worker_pipeline.monitor.controls import Controls, Row, rows_of
from worker_pipeline.monitor.model import Manager
from worker_pipeline.monitor.signs import BEAUTIFUL, PLAIN, Signs
from worker_pipeline.monitor.table import Table

RECENT = 1.5  # s; diagnostics come every second
# The heights from which there are a title and news; headings and hints; and some air.
USUAL, ROOMY, AIRY = 3, 8, 16
NEWS = 3  # lines, at most

KEYS = {
    'nothing': (),
    'manager': (('p', 'pause'), ('r', 'resume'), ('d', 'drain')),
    'stage': (
        *(('p', 'pause'), ('r', 'resume'), ('+ -', 'workers')),
        *(('f', 'flush'), ('d', 'drain')),
    ),
    'worker': (('c', 'cordon, uncordon'),),
}
HINTS_KEPT = (('?', 'help'), ('q', 'quit'))
HELP = """\
arrows, j k, home, end   select the manager, a stage or a worker
p    pause the stage; or the whole pipeline, where the manager is selected
r    resume it
+ -  one worker more, one less for the stage
f    flush: drop what waits in the stage's queue
d    drain: tell when all that is there now has left the stage or pipeline
c    cordon the worker, which takes it out; once more, and it is put back
q    quit, as Ctrl-C does; the pipeline goes on

queue        items that wait, of how many that may
held         given to workers, and not answered yet
p50, p99     latency, from its coming until its answer, of the latest items
given up     in quarantine
redelivered  given to another worker, as the one before was lost
busy %       share of its time that a worker is at items
cpu %        100 is one processor
! x ?        warning, error, silent"""


@attrs.frozen
class Scene:
    """All that is shown."""

    namespace: str
    managers: Sequence[Manager]
    controls: Controls
    now: float  # s
    waiting: str = ''  # for what, as long as no manager was heard


def screen(scene: Scene, width: int, height: int, signs: Signs = BEAUTIFUL) -> list[Text]:
    """``height`` lines, none wider than ``width``; the selected one is among them."""
    rows = rows_of(scene.managers)
    selected = scene.controls.selected(rows)
    table = Table.of(rows, width, signs)
    head = [_title(scene, width)] if height >= USUAL else []
    head += [Text()] if height >= AIRY else []
    head += table.headings() if height >= ROOMY and rows and not scene.controls.shows_help else []
    news = _news(scene, width, NEWS if height >= AIRY else 1, signs) if height >= USUAL else []
    hints = _hints(scene, rows[selected] if rows else None, width, signs)
    foot = [*news, hints] if height >= ROOMY else news
    if scene.controls.shows_help or not rows:
        text = HELP if scene.controls.shows_help else scene.waiting
        body = [(Text(f' {line}'), -1) for line in text.splitlines()]
    else:
        body = list(table.body(rows, scene.now, selected))
    room = height - len(head) - len(foot)
    first = _first_shown([row for _, row in body], selected, room)
    shown = [line for line, _ in body[first : first + room]]
    if news and len(shown) < len(body):
        _at_right(news[-1], f'lines {first + 1}-{first + len(shown)} of {len(body)}', width)
    lines = [*head, *shown, *(Text() for _ in range(room - len(shown))), *foot]
    return [_fitted(line, width, signs) for line in lines]


def snapshot(scene: Scene, width: int, signs: Signs = BEAUTIFUL) -> list[Text]:
    """All there is to know, for a file or a pipe."""
    rows = rows_of(scene.managers)
    table = Table.of(rows, width, signs)
    body = [line for line, _ in table.body(rows, scene.now, -1)]
    lines = [_title(scene, width), *table.headings(), *body]
    return [_fitted(line, width, signs) for line in lines]


def _first_shown(rows: Sequence[int], selected: int, room: int) -> int:
    """Which line of the part that scrolls is the first, so that the selected one is in sight."""
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
        facts = [managers[0].state, f'up {duration(managers[0].age)}']
    else:
        facts = [f'{len(managers)} managers']
    facts += [_counted(spares, 'spare'), _counted(restarts, 'restart')]
    newest = min(each.silence(scene.now) for each in managers)
    silent = [each for each in managers if each.is_silent(scene.now)]
    if silent:
        longest = max(each.silence(scene.now) for each in silent)
        who = 'MANAGER' if len(managers) == 1 else f'{len(silent)} OF {len(managers)} MANAGERS'
        right, style = f' {who} SILENT FOR {duration(longest)} ', 'bold reverse red'
    elif all(each.has_ended(scene.now) for each in managers):
        right, style = f'ended {duration(newest)} ago', 'bold'
    else:
        when = 'just now' if newest < RECENT else f'{newest:.0f} s ago'
        right, style = f'heard {when}', 'dim'
    for fact in facts:
        if title.cell_len + len(fact) + len(right) + 7 <= width:
            title.append(f'   {fact}')
    _at_right(title, right, width, style)
    return title


def _counted(number: int, what: str) -> str:
    return f'{number} {what}' if number == 1 else f'{number} {what}s'


def _news(scene: Scene, width: int, most: int, signs: Signs) -> list[Text]:
    """What is asked of the user, is waited for, or came of what he asked: at least one line."""
    controls, news = scene.controls, scene.controls.news(scene.now)
    parts, style = [], 'bold red' if news and news.is_bad else 'green'
    if controls.pending:
        command, since = next(reversed(controls.pending.items()))
        others = len(controls.pending) - 1
        more = f' and {others} more' if others else ''
        parts.append(f'{command.what}{more}: for {duration(scene.now - since)}{signs.dots}')
        style = '' if news is None else style
    if news:
        parts.append(news.text)
    if controls.question:
        parts, style = [f'{controls.question.text} (y, n)'], 'bold yellow'
    told = textwrap.wrap('   '.join(parts), max(1, width - 2)) or ['']
    return [Text(f' {line}', style) for line in told[:most]]


def _hints(scene: Scene, row: Row | None, width: int, signs: Signs) -> Text:
    if scene.controls.question:
        return Text.assemble(' ', ('y', 'bold'), (' yes  ', 'dim'), ('n', 'bold'), (' no', 'dim'))
    kind = 'nothing'
    if row is not None:
        kind = 'worker' if row.worker else 'stage' if row.stage else 'manager'
    select = ((signs.arrows, 'select'),) if row else ()
    hints = [*select, *KEYS[kind], *HINTS_KEPT]
    # Where there is no room for all, help tells of the others.
    while len(hints) > len(HINTS_KEPT) and sum(len(k) + len(w) + 3 for k, w in hints) > width + 1:
        hints.pop(-len(HINTS_KEPT) - 1)
    line = Text(' ')
    for key, what in hints:
        line.append(key, 'bold')
        line.append(f' {what}  ', 'dim')
    line.right_crop(2)
    return line


def _at_right(line: Text, text: str, width: int, style: str = 'dim') -> None:
    """Put something at the right end of a line, which gives way to it."""
    left = max(0, width - len(text) - 1)
    line.truncate(left)
    line.pad_right(left - line.cell_len)
    line.append(text, style)


def _fitted(line: Text, width: int, signs: Signs) -> Text:
    if signs is PLAIN:
        # Before it is measured: a sign that has no width by itself may become one that has.
        line.plain = line.plain.encode('ascii', 'replace').decode('ascii')
    line.truncate(width)
    return line
