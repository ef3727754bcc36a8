# SPDX-License-Identifier: Apache-2.0
"""Waiting coroutines, as the events executor resumes them: one after the other, all the time."""

from __future__ import annotations

import pytest
from support.fake_nodes import FakeClock

from worker_pipeline.ros import lifecycle
from worker_pipeline.ros.lifecycle import until


class CountingClock(FakeClock):
    def __init__(self):
        super().__init__()
        self.sleeps = 0

    def sleep(self, seconds):
        super().sleep(seconds)
        self.sleeps += 1


@pytest.fixture
def clock(monkeypatch):
    found = CountingClock()
    monkeypatch.setattr(lifecycle, 'time', found)
    return found


def resume(coroutine):
    """Resume a coroutine once; return whether it has ended, and its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return True, end.value
    return False, None


@pytest.mark.parametrize('count', [1, 2, 100])
def test_all_that_wait_sleep_once_in_a_round(clock, count):
    """Else a hundred stages that start together would delay each event by a tenth of a second."""
    waiting = [until(lambda: False) for _ in range(count)]
    for each in waiting:  # those that are called first have no round behind them
        resume(each)
    before = clock.sleeps
    for _ in range(10):
        for each in waiting:
            assert resume(each) == (False, None)
    assert clock.sleeps - before == 10
    for each in waiting:
        each.close()
