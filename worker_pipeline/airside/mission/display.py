# SPDX-License-Identifier: Apache-2.0
"""The progress display of the mission, and the tables at its end."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from worker_pipeline.airside.mission.assessment import Assessment
from worker_pipeline.airside.mission.estimate import Estimate, pad_name
from worker_pipeline.airside.mission.observation import Observation

_LINE_PERIOD = 5.0  # s, between two lines without a progress bar


class Display(Protocol):
    """Shows the progress of the flight."""

    def show(self, observation: Observation) -> None:
        """Show the current observation."""

    def print(self, text: str) -> None:
        """Print a message."""

    def __enter__(self) -> Display:
        """Start the display."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the display."""


class ProgressBar:
    """A progress bar for a terminal. ``frames``: the expected number."""

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

    def print(self, text: str) -> None:
        self._progress.console.print(text)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class LineDisplay:
    """A line from time to time, for a file or a pipe."""

    def __init__(self, console: Console, frames: int) -> None:
        self._console = console
        self._frames = frames
        self._last = time.monotonic()

    def show(self, observation: Observation) -> None:
        now = time.monotonic()
        if now - self._last < _LINE_PERIOD:
            return
        self._last = now
        self.print(
            f'{observation.frames}/{self._frames} frames, {observation.in_flight} in flight, '
            f'{observation.workers_alive} workers, {observation.replacements} replaced'
        )

    def print(self, text: str) -> None:
        self._console.print(text)

    def __enter__(self) -> LineDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def make_display(console: Console, frames: int) -> Display:
    """Return the display for a console."""
    return ProgressBar(console, frames) if console.is_terminal else LineDisplay(console, frames)


def pad_table(assessment: Assessment) -> Table:
    """Return a table with a row for each pad, and for each target that is not a pad."""
    caption = 'in m; sigma: as the pipeline states it, in the worst direction'
    table = _table('Landing pads', caption)
    table.add_column('pad')
    for heading in ('east', 'north', 'error', 'sigma', 'seen', 'latitude', 'longitude'):
        table.add_column(heading, justify='right')
    for finding in assessment.findings:
        pad, estimate = finding.pad, finding.estimate
        place = (pad_name(pad.label), f'{pad.east:.1f}', f'{pad.north:.1f}')
        if estimate is None:
            table.add_row(*place, 'missed', '', '0', '', '', style='red')
        else:
            table.add_row(*place, f'{finding.error:.2f}', *_estimate_cells(estimate))
    for estimate in assessment.false_targets:
        place = (estimate.name, f'{estimate.east:.1f}', f'{estimate.north:.1f}')
        table.add_row(*place, 'no pad', *_estimate_cells(estimate), style='red')
    return table


def flight_table(assessment: Assessment) -> Table:
    """Return a table of the frames' outcomes, and of the latency."""
    accounting, latency = assessment.accounting, assessment.latency
    found = [finding for finding in assessment.findings if finding.estimate is not None]
    worst = max((finding.error or 0.0 for finding in found), default=None)
    table = _table('Flight')
    table.show_header = False
    table.add_column()
    table.add_column(justify='right')
    table.add_row('pads found', f'{len(found)} of {len(assessment.findings)}')
    table.add_row('largest error', '' if worst is None else f'{worst:.2f} m')
    table.add_row('frames in', str(accounting.frames_in))
    table.add_row('frames answered', str(accounting.answered))
    table.add_row('frames dropped', str(accounting.dropped))
    if accounting.quarantined:
        table.add_row('frames quarantined', str(accounting.quarantined))
    if accounting.not_searched:
        table.add_row('frames not searched', str(accounting.not_searched))
    table.add_row('frames without odometry', str(accounting.without_pose))
    table.add_row('frames given to another worker', str(accounting.redelivered))
    table.add_row('workers killed', str(assessment.kills))
    table.add_row('workers replaced', str(assessment.replacements))
    if assessment.acknowledged is not None:
        targets = len(found) + len(assessment.false_targets)
        table.add_row('targets the ground acknowledged', f'{assessment.acknowledged} of {targets}')
    table.add_row('latency, median', _milliseconds(latency.median))
    table.add_row('latency, 99th percentile', _milliseconds(latency.p99))
    return table


def _table(title: str, caption: str | None = None) -> Table:
    """Return a table without vertical lines, to fit into 80 columns."""
    return Table(title=title, caption=caption, box=box.SIMPLE_HEAD, pad_edge=False)


def _estimate_cells(estimate: Estimate) -> tuple[str, str, str, str]:
    return (
        f'{estimate.deviation:.2f}',
        str(estimate.sightings),
        f'{estimate.latitude:.6f}',  # to 0.1 m
        f'{estimate.longitude:.6f}',
    )


def _milliseconds(seconds: float | None) -> str:
    return '' if seconds is None else f'{seconds * 1e3:.0f} ms'
