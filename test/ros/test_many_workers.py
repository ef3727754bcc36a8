# SPDX-License-Identifier: Apache-2.0
"""A pipeline of many workers starts some of them at a time, and none in vain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.configuring import stage
from support.starting_stages import STARTS

from worker_pipeline.core.first_starts import limit_for
from worker_pipeline.system.threads import available_cores

STAGES, WORKERS = 12, 3


def chain() -> dict[str, Any]:
    """Return a chain of stages."""
    names = [f's{number}' for number in range(STAGES)]
    parameters: dict[str, Any] = {'stages': names, 'spares': 0}
    for before, name in zip([None, *names], names, strict=False):
        parameters[name] = stage('', plugin='support.starting_stages:StartsSlowly', workers=WORKERS)
        if before:
            parameters[name]['input'] = before
    return parameters


def most_at_once(starts: list[tuple[float, float]]) -> int:
    """Return how many of these intervals overlap at most."""
    changes = sorted([(begin, 1) for begin, _ in starts] + [(end, -1) for _, end in starts])
    count, most = 0, 0
    for _, change in changes:
        count += change
        most = max(most, count)
    return most


def test_no_more_workers_than_the_limit_are_starting_at_once(start, observer, tmp_path: Path):
    file = tmp_path / 'starts'
    manager = start(chain(), environment={STARTS: str(file)})
    for number in range(STAGES):
        observer.wait_until_active(f's{number}', WORKERS, timeout=120.0)
    lines = [line.split() for line in file.read_text().splitlines()]
    assert len(lines) == STAGES * WORKERS  # each was started once
    starts = [(float(begin), float(end)) for _, begin, end in lines]
    assert 1 < most_at_once(starts) <= limit_for(available_cores())
    assert 'killing it' not in manager.output
    assert 'not ready' not in manager.output
    restarts = [
        observer.values(f's{number}/worker_{index}')['restarts']
        for number in range(STAGES)
        for index in range(WORKERS)
    ]
    assert set(restarts) == {'0'}
