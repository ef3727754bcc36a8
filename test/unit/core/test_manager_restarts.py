# SPDX-License-Identifier: Apache-2.0
"""What follows the end of a manager's process."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline import exit_codes
from worker_pipeline.core.manager_restarts import (
    BACKOFF_MAX,
    LIMIT,
    WINDOW,
    Finish,
    ManagerRestarts,
    Restart,
)

KILLED = -9


def restarts(*, was_active: bool = True) -> ManagerRestarts:
    found = ManagerRestarts(exit_codes.is_permanent)
    if was_active:
        found.is_active()
    return found


@pytest.mark.parametrize('code', [KILLED, -11, 1, 70, 71, 134])
def test_a_manager_that_was_running_is_replaced_at_once(code: int):
    """However often: each had been running for longer than the window."""
    found, now = restarts(), 0.0
    for _ in range(100):
        found.is_running(now)
        now += WINDOW + 0.1
        assert found.ended(code, now) == Restart(0.0, is_failing=False, is_worth_a_line=True)


@pytest.mark.parametrize('was_active', [True, False])
@pytest.mark.parametrize('code', [0, *exit_codes.PERMANENT])
def test_a_clean_end_and_a_permanent_cause_are_final(code: int, was_active: bool):
    """With the manager's exit code."""
    assert restarts(was_active=was_active).ended(code, 1.0) == Finish(code)


@pytest.mark.parametrize('code', [0, 1, 2, 3])
def test_the_end_after_a_request_to_stop_is_final(code: int):
    """Whatever it is."""
    found = restarts()
    found.stop()
    assert found.ended(code, 1.0) == Finish(code)


def test_if_a_manager_that_is_to_stop_is_killed_one_more_shuts_the_workers_down():
    """Only one, and only where there may be workers."""
    found = restarts()
    found.stop()
    assert found.ended(KILLED, 1.0) == Restart(0.0, is_failing=False, is_worth_a_line=True)
    assert found.ended(KILLED, 2.0) == Finish(KILLED)
    found = restarts(was_active=False)
    found.stop()
    assert found.ended(KILLED, 1.0) == Finish(KILLED)


@pytest.mark.parametrize('is_stopping', [False, True])
def test_a_manager_that_hands_over_is_replaced_at_once_without_a_line(is_stopping: bool):
    """However soon, as that is no failure; its successor stops if that was asked for meanwhile."""
    found = ManagerRestarts(exit_codes.is_permanent, handed_over=exit_codes.EXIT_HANDED_OVER)
    found.is_active()
    if is_stopping:
        found.stop()
    for _ in range(2 * LIMIT):
        decision = found.ended(exit_codes.EXIT_HANDED_OVER, 1.0)
        assert decision == Restart(0.0, is_failing=False, is_worth_a_line=False)
    assert not exit_codes.is_permanent(exit_codes.EXIT_HANDED_OVER)


def test_a_first_start_that_fails_is_final():
    """Somebody is there who sees the error, or a backstop that starts it again."""
    assert restarts(was_active=False).ended(1, 1.0) == Finish(1)


def test_a_first_start_that_is_killed_is_repeated_but_not_for_ever():
    """It ends with the last one's code."""
    found = restarts(was_active=False)
    for _ in range(LIMIT):
        assert isinstance(found.ended(KILLED, 1.0), Restart)
    assert found.ended(KILLED, 1.0) == Finish(KILLED)


def test_managers_that_die_at_each_start_are_started_ever_more_rarely():
    """Once one was active they are never given up; two lines say so, however many there are."""
    found = restarts()
    found.is_running(0.0)
    decisions = [found.ended(KILLED, 100.0) for _ in range(50)]
    assert all(isinstance(each, Restart) for each in decisions)
    delays = [each.delay for each in decisions]
    for number, longest in enumerate([0.0, 0.1, 0.2, 0.4, 0.8]):
        assert longest / 2 <= delays[number] <= longest
    assert all(BACKOFF_MAX / 2 <= each <= BACKOFF_MAX for each in delays[LIMIT:])
    assert [number for number, each in enumerate(decisions) if each.is_worth_a_line] == [0, LIMIT]
    found.is_running(200.0)
    assert found.ended(KILLED, 201.1).delay == 0.0, 'all is forgotten after a while of health'


@given(
    codes=st.lists(st.sampled_from([0, 1, 2, 3, 70, KILLED, -11]), max_size=40),
    seed=st.integers(0, 1000),
)
def test_whatever_happens_the_rules_hold(codes: list[int], seed: int):
    """A final code ends it; no delay exceeds the longest; the first is none."""
    chance, found, now, was_active = random.Random(seed), restarts(was_active=False), 0.0, False
    for number, code in enumerate(codes):
        now += chance.uniform(0.0, 3.0)
        if chance.random() < 0.5:
            found.is_running(now)
            if chance.random() < 0.5:
                found.is_active()
                was_active = True
            now += chance.uniform(0.0, 3.0)
        decision = found.ended(code, now)
        if code == 0 or exit_codes.is_permanent(code) or (code > 0 and not was_active):
            assert decision == Finish(code)
            return
        if isinstance(decision, Finish):
            assert not was_active
            return
        assert 0.0 <= decision.delay <= BACKOFF_MAX
        assert number or decision.delay == 0.0
