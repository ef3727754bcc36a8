# SPDX-License-Identifier: Apache-2.0
"""Kills of workers during a flight, which must not affect the result."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence

import attrs

from worker_pipeline.airside.mission.display import Display
from worker_pipeline.airside.mission.errors import MissionError
from worker_pipeline.airside.mission.watcher import Watcher

# Longest wait for a worker that holds an item before any worker is killed, s.
_WAIT_FOR_ITEM = 0.5
# The share of a flight during which workers are killed.
_SHARE = 0.85


@attrs.frozen
class Kill:
    """A killed worker: its stage, and the vehicle's position (m, east and north)."""

    stage: str
    place: tuple[float, float]


def parse_stages(text: str, stages: Sequence[str]) -> list[str]:
    """Return the stages that are named: a comma-separated list, all or none. MissionError."""
    if text in ('all', 'none'):
        return list(stages) if text == 'all' else []
    named = text.split(',')
    for each in named:
        if each not in stages:
            raise MissionError(f'kill: found {each!r}; allowed: all, none, {", ".join(stages)}')
    return named


def kill_schedule(kill: Sequence[str], duration: float) -> list[tuple[float, str]]:
    """Return when in the flight (s) to kill a worker of which stage: evenly spaced.

    None is late in the flight, so that the last replacement is also seen processing items.
    """
    step = _SHARE * duration / (len(kill) + 1)
    return [(step * place, stage) for place, stage in enumerate(kill, start=1)]


def kill_one(watcher: Watcher, display: Display, stage: str) -> list[Kill]:
    """Kill a worker of a stage with SIGKILL, if possible one that is processing an item.

    Returns a list with the kill; empty if there was no worker.

    Args:
        watcher: Observes the pipeline.
        display: Shows the kill.
        stage: The name of the stage.
    """
    seen = watcher.observation

    def victims() -> list[str]:
        return sorted(each for each in seen.process_ids if each.startswith(f'{stage}/'))

    def busy_workers() -> list[str]:
        return [each for each in victims() if seen.items_held.get(each)]

    watcher.spin(_WAIT_FOR_ITEM, until=lambda: bool(busy_workers()))
    for worker in [*busy_workers(), *victims()][:1]:
        process_id = seen.process_ids[worker][-1]
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
            display.print(
                f'[bold red]Killed[/] {worker} (process {process_id}) with SIGKILL at frame '
                f'{seen.frames}.'
            )
            return [Kill(stage, seen.track[-1] if seen.track else (0.0, 0.0))]
    return []
