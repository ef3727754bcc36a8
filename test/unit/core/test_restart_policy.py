# SPDX-License-Identifier: Apache-2.0
"""The delay before a restart."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from worker_pipeline.core.restart_policy import RestartPolicy


class Fixed(random.Random):
    """A random source that always returns the same share of the range."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def uniform(self, a: float, b: float) -> float:
        return a + self.share * (b - a)


def policy(
    backoff_max: float = 10.0, limit: int = 5, window: float = 30.0, share: float = 1.0
) -> RestartPolicy:
    return RestartPolicy(
        backoff_max=backoff_max, limit=limit, window=window, random_source=Fixed(share)
    )


def test_the_first_restart_is_immediate():
    """A worker that falls once is back without a wait."""
    assert policy().delay(100.0) == 0.0


def test_each_further_delay_is_twice_as_long():
    """The second restart is delayed by 0.1 s, the third by 0.2 s, and so on."""
    slot = policy(limit=100)
    delays = [slot.delay(100.0) for _ in range(6)]
    assert delays == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.6])


def test_no_delay_exceeds_backoff_max():
    """After however many restarts."""
    slot = policy(backoff_max=0.5, limit=1000)
    delays = [slot.delay(100.0) for _ in range(200)]
    assert max(delays) == 0.5
    assert delays[-1] == 0.5


def test_a_huge_limit_does_not_overflow():
    """2 to the power of 2000 would not fit into a float."""
    slot = policy(backoff_max=1e300, limit=10_000, window=1e9)
    delays = [slot.delay(100.0) for _ in range(2000)]
    assert delays[-1] == delays[-2] < 1e300


@pytest.mark.parametrize(('share', 'factor'), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_jitter_shortens_a_delay_by_up_to_half(share: float, factor: float):
    """Workers that died together do not restart together."""
    slot = policy(share=share)
    slot.delay(0.0)
    assert slot.delay(0.0) == pytest.approx(0.1 * factor)


def test_a_slot_is_failing_only_above_the_limit():
    """More than ``limit`` restarts within the window."""
    slot = policy(limit=3)
    for _ in range(3):
        slot.delay(10.0)
    assert not slot.failing(10.0)
    slot.delay(10.0)
    assert slot.failing(10.0)


def test_a_failing_slot_keeps_trying_at_the_longest_backoff():
    """It is never abandoned."""
    slot = policy(backoff_max=10.0, limit=2)
    delays = [slot.delay(10.0) for _ in range(4)]
    assert delays == pytest.approx([0.0, 0.1, 10.0, 10.0])


def test_with_a_limit_of_zero_the_first_restart_makes_a_slot_failing():
    """The first restart is immediate all the same."""
    slot = policy(limit=0)
    assert slot.delay(1.0) == 0.0
    assert slot.failing(1.0)
    assert slot.delay(1.0) == 10.0


def test_restarts_are_forgotten_after_a_window_of_healthy_time():
    """They count until the end of the window."""
    slot = policy(limit=1, window=30.0)
    slot.delay(0.0)
    slot.delay(5.0)
    slot.went_up(10.0)
    assert slot.failing(40.0)
    assert not slot.failing(40.1)


def test_no_restart_is_forgotten_while_the_slot_is_down():
    """Delays and start-ups are not healthy time: a slot that never comes up stays failing."""
    slot = policy(backoff_max=10.0, limit=2, window=30.0)
    delays = [slot.delay(40.0 * n) for n in range(6)]
    assert delays == pytest.approx([0.0, 0.1, 10.0, 10.0, 10.0, 10.0])
    assert slot.failing(1e9)


def test_healthy_time_adds_up_over_several_processes():
    """It need not be uninterrupted."""
    slot = policy(limit=0, window=30.0)
    slot.delay(0.0)
    for start in (100.0, 200.0, 300.0):
        assert slot.failing(start)
        slot.went_up(start)
        slot.went_down(start + 10.0)
    assert slot.failing(400.0), '30 s of health, and not more'
    slot.went_up(400.0)
    assert not slot.failing(400.1)


def test_each_restart_is_forgotten_after_its_own_window():
    """Healthy time before a restart does not count for it."""
    slot = policy(limit=1, window=30.0)
    slot.delay(0.0)
    slot.went_up(0.0)
    slot.went_down(20.0)
    slot.delay(20.0)
    slot.went_up(20.0)
    assert slot.failing(30.0)
    assert not slot.failing(30.1), 'the first is forgotten'
    slot.went_down(45.0)
    assert slot.delay(45.0) > 0.0, 'the second is not'


def test_going_up_or_down_twice_changes_nothing():
    """A healthy period runs from the first call to the first call."""
    slot = policy(limit=0, window=30.0)
    slot.went_down(0.0)
    slot.delay(0.0)
    slot.went_up(0.0)
    slot.went_up(20.0)
    slot.went_down(25.0)
    slot.went_down(1000.0)
    assert slot.failing(1000.0)
    slot.went_up(1000.0)
    assert slot.failing(1005.0)
    assert not slot.failing(1005.1)


def test_with_immediate_restarts_the_window_is_wall_time():
    """With a kill every 10 s and a window of 30 s, three or four restarts count."""
    slot = policy(limit=4, window=30.0)
    slot.went_up(0.0)
    for n in range(1, 100):
        now = 10.0 * n
        slot.went_down(now)
        assert slot.delay(now) <= 0.4
        assert not slot.failing(now)
        slot.went_up(now + 0.3)


def test_after_a_window_of_healthy_time_the_next_restart_is_immediate():
    """With nothing left in the window a slot is as good as new."""
    slot = policy(window=30.0)
    for _ in range(10):
        slot.delay(0.0)
    slot.went_up(0.0)
    assert slot.delay(30.1) == 0.0


def test_a_refunded_restart_does_not_count():
    """The next one is delayed as if there had been none, and the slot is not failing."""
    slot = policy(limit=2)
    for _ in range(3):
        slot.delay(0.0)
    assert slot.failing(0.0)
    slot.refund(0.0)
    assert not slot.failing(0.0)
    slot.refund(0.0)
    assert slot.delay(0.0) == pytest.approx(0.1)


def test_a_refund_is_for_the_last_restart():
    """Those before it keep their times."""
    slot = policy(limit=0, window=30.0)
    slot.delay(0.0)
    slot.went_up(0.0)
    slot.delay(20.0)
    slot.refund(20.0)
    assert slot.failing(30.0)
    assert not slot.failing(30.1)


def test_a_refund_without_restarts_changes_nothing():
    """Before the first one, or after all were forgotten."""
    slot = policy()
    slot.refund(0.0)
    assert slot.delay(0.0) == 0.0
    slot.went_up(0.0)
    slot.refund(31.0)
    assert slot.delay(31.0) == 0.0
    assert slot.delay(31.0) == pytest.approx(0.1)


def test_without_backoff_every_restart_is_immediate():
    """``backoff_max`` is 0.0."""
    slot = policy(backoff_max=0.0, limit=1)
    assert [slot.delay(0.0) for _ in range(5)] == [0.0] * 5


@given(
    seed=st.integers(0, 2**32),
    backoff_max=st.floats(0.0, 100.0),
    limit=st.integers(0, 10),
    window=st.floats(0.1, 100.0),
    history=st.lists(
        st.tuples(st.floats(0.0, 50.0), st.sampled_from(['restart', 'up', 'down', 'refund'])),
        max_size=60,
    ),
)
def test_every_delay_is_within_its_bounds(
    seed: int,
    backoff_max: float,
    limit: int,
    window: float,
    history: list[tuple[float, str]],
):
    """Never negative, never beyond ``backoff_max``; at least half of it while failing.

    Which restarts count is found by adding up the health since each, gap by gap.
    """
    slot = RestartPolicy(
        backoff_max=backoff_max, limit=limit, window=window, random_source=random.Random(seed)
    )
    now, up = 0.0, False
    restarts: list[float] = []  # the healthy time since each one that was not refunded
    for gap, what in history:
        now += gap
        if up:
            restarts = [health + gap for health in restarts]
        assume(all(abs(health - window) > 1e-6 for health in restarts))
        restarts = [health for health in restarts if health < window]
        if what == 'up':
            slot.went_up(now)
            up = True
        elif what == 'down':
            slot.went_down(now)
            up = False
        elif what == 'refund':
            slot.refund(now)
            restarts = restarts[:-1]
        else:
            recent = len(restarts)
            delay = slot.delay(now)
            restarts.append(0.0)
            assert 0.0 <= delay <= backoff_max
            if not recent:
                assert delay == 0.0
            elif slot.failing(now):
                assert delay >= backoff_max / 2
        assert slot.failing(now) == (len(restarts) > limit)
