"""What the mission shows while it flies, and the table at its end."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from worker_pipeline.mission.assessment import Assessment
from worker_pipeline.mission.estimate import Estimate, name_of
from worker_pipeline.mission.observation import Observation

_LINE_PERIOD = 5.0  # s, between two lines where there is no bar


class Display(Protocol):
    """Shows how the flight goes."""

    def show(self, observation: Observation) -> None:
        """Show what is known now."""

    def say(self, text: str) -> None:
        """Say that something happened."""

    def __enter__(self) -> Display:
        """Begin to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show no more."""


class ProgressBar:
    """A bar, for a terminal. ``frames``: how many are expected."""

    def __init__(self, console: Console, frames: int) -> None:
        self._progress = Progress(
            TextColumn('[bold]survey'),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn('frames  [cyan]{task.fields[in_flight]}[/] in flight'),
            TextColumn('[green]{task.fields[workers]}[/] workers'),
            TextColumn('[yellow]{task.fields[replacements]}[/] replaced'),
            console=console,
        )
        self._task = self._progress.add_task(
            'flight', total=frames, in_flight=0, workers=0, replacements=0
        )

    def show(self, observation: Observation) -> None:
        self._progress.update(
            self._task,
            completed=observation.frames,
            in_flight=observation.in_flight,
            workers=observation.workers_alive,
            replacements=observation.replacements,
        )

    def say(self, text: str) -> None:
        self._progress.console.print(text)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class Lines:
    """A line now and then, for a file or a pipe."""

    def __init__(self, console: Console, frames: int) -> None:
        self._console = console
        self._frames = frames
        self._last = time.monotonic()

    def show(self, observation: Observation) -> None:
        now = time.monotonic()
        if now - self._last < _LINE_PERIOD:
            return
        self._last = now
        self.say(
            f'{observation.frames}/{self._frames} frames, {observation.in_flight} in flight, '
            f'{observation.workers_alive} workers, {observation.replacements} replaced'
        )

    def say(self, text: str) -> None:
        self._console.print(text)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


def display_for(console: Console, frames: int) -> Display:
    """What suits the console."""
    return ProgressBar(console, frames) if console.is_terminal else Lines(console, frames)


def pad_table(assessment: Assessment) -> Table:
    """A row for each pad, found or not, and for each target that is none."""
    caption = 'in m; sigma: as the pipeline states it, in the worst direction'
    table = _table('Landing pads', caption)
    table.add_column('pad')
    for heading in ('east', 'north', 'error', 'sigma', 'seen', 'latitude', 'longitude'):
        table.add_column(heading, justify='right')
    for finding in assessment.findings:
        pad, estimate = finding.pad, finding.estimate
        place = (name_of(pad.label), f'{pad.east:.1f}', f'{pad.north:.1f}')
        if estimate is None:
            table.add_row(*place, 'missed', '', '0', '', '', style='red')
        else:
            table.add_row(*place, f'{finding.error:.2f}', *_told_of(estimate))
    for estimate in assessment.invented:
        place = (estimate.name, f'{estimate.east:.1f}', f'{estimate.north:.1f}')
        table.add_row(*place, 'no pad', *_told_of(estimate), style='red')
    return table


def flight_table(assessment: Assessment) -> Table:
    """What became of the frames, and how long it took."""
    books, latency = assessment.accounting, assessment.latency
    found = [finding for finding in assessment.findings if finding.estimate is not None]
    worst = max((finding.error or 0.0 for finding in found), default=None)
    table = _table('Flight')
    table.show_header = False
    table.add_column()
    table.add_column(justify='right')
    table.add_row('pads found', f'{len(found)} of {len(assessment.findings)}')
    table.add_row('largest error', '' if worst is None else f'{worst:.2f} m')
    table.add_row('frames in', str(books.frames_in))
    table.add_row('frames answered', str(books.answered))
    table.add_row('frames dropped', str(books.dropped))
    if books.quarantined:
        table.add_row('frames quarantined', str(books.quarantined))
    table.add_row('frames given to another worker', str(books.redelivered))
    table.add_row('workers killed', str(assessment.kills))
    table.add_row('workers replaced', str(assessment.replacements))
    if assessment.told is not None:
        targets = len(found) + len(assessment.invented)
        table.add_row('targets the ground acknowledged', f'{assessment.told} of {targets}')
    table.add_row('latency, median', _milliseconds(latency.median))
    table.add_row('latency, 99th percentile', _milliseconds(latency.p99))
    return table


def _table(title: str, caption: str | None = None) -> Table:
    """Without lines up and down: it has to fit into 80 columns."""
    return Table(title=title, caption=caption, box=box.SIMPLE_HEAD, pad_edge=False)


def _told_of(estimate: Estimate) -> tuple[str, str, str, str]:
    return (
        f'{estimate.deviation:.2f}',
        str(estimate.sightings),
        f'{estimate.latitude:.6f}',  # to 0.1 m
        f'{estimate.longitude:.6f}',
    )


def _milliseconds(seconds: float | None) -> str:
    return '' if seconds is None else f'{seconds * 1e3:.0f} ms'
