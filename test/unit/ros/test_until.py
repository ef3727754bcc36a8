# SPDX-License-Identifier: Apache-2.0
"""A wait for a fact has a limit, in which pauses of the process do not count."""

from __future__ import annotations

import pytest
from support.fake_nodes import FakeClock, run

from worker_pipeline.ros import lifecycle
from worker_pipeline.ros.lifecycle import LONGEST_TURN, until


@pytest.fixture
def clock(monkeypatch) -> FakeClock:
    found = FakeClock(0.0)
    monkeypatch.setattr(lifecycle, 'time', found)
    return found


def test_a_wait_ends_with_the_fact(clock):
    assert run(until(lambda: clock.now > 1.0, 2.0)) is True
    assert clock.now == pytest.approx(1.0, abs=0.01)


def test_a_wait_ends_with_its_limit(clock):
    assert run(until(lambda: False, 2.0)) is False
    assert clock.now == pytest.approx(2.0, abs=0.01)


def test_a_pause_of_the_process_does_not_count(clock):
    """Those that are waited for were paused too, most likely."""
    turns = 0

    def fact() -> bool:
        nonlocal turns
        turns += 1
        if turns == 100:
            clock.now += 60.0
        return False

    assert run(until(fact, 2.0)) is False
    assert clock.now == pytest.approx(62.0 - LONGEST_TURN, abs=0.01)


def test_without_any_time_a_fact_is_looked_at_once(clock):
    assert run(until(lambda: True, 0.0)) is True
    assert run(until(lambda: False, 0.0)) is False
    assert clock.now == 0.0
