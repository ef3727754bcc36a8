"""Kills workers in the midst of a flight, which is to make no difference."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence

import attrs

from worker_pipeline.mission.display import Display
from worker_pipeline.mission.errors import MissionError
from worker_pipeline.mission.watcher import Watcher

# How long to wait for a worker that holds an item, before one is killed anyhow, s.
_PATIENCE = 0.5
# The share of a flight within which workers are killed.
_SHARE = 0.85


@attrs.frozen
class Kill:
    """A worker that was killed: of which stage, and where the vehicle was (m, east and north)."""

    stage: str
    place: tuple[float, float]


def stages_of(text: str, stages: Sequence[str]) -> list[str]:
    """The stages that are meant: names with commas between them, all or none. MissionError."""
    if text in ('all', 'none'):
        return list(stages) if text == 'all' else []
    named = text.split(',')
    for each in named:
        if each not in stages:
            raise MissionError(f'kill: found {each!r}; allowed: all, none, {", ".join(stages)}')
    return named


def plan_of(kill: Sequence[str], duration: float) -> list[tuple[float, str]]:
    """When in the flight, s, a worker of which stage is killed: spread over it, but for its end.

    So the last replacement is seen at work, too.
    """
    step = _SHARE * duration / (len(kill) + 1)
    return [(step * place, stage) for place, stage in enumerate(kill, start=1)]


def kill_one(watcher: Watcher, display: Display, stage: str) -> list[Kill]:
    """SIGKILL a worker of a stage: one that has work, if one is heard of soon."""
    seen = watcher.observation

    def victims() -> list[str]:
        return sorted(each for each in seen.process_ids if each.startswith(f'{stage}/'))

    def at_work() -> list[str]:
        return [each for each in victims() if seen.holding.get(each)]

    watcher.spin(_PATIENCE, until=lambda: bool(at_work()))
    for worker in [*at_work(), *victims()][:1]:
        process_id = seen.process_ids[worker][-1]
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
            display.say(
                f'[bold red]Killed[/] {worker} (process {process_id}) with SIGKILL at frame '
                f'{seen.frames}.'
            )
            return [Kill(stage, seen.track[-1] if seen.track else (0.0, 0.0))]
    return []
