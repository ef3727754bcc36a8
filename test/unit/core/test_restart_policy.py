"""How soon a worker is started again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.restart_policy import RestartPolicy


class Fixed(random.Random):
    """A random source that always says the same share of the range it is asked for."""

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


def test_further_restarts_wait_twice_as_long_each():
    """The second waits the base of 0.1 s, the third 0.2 s, and so on."""
    slot = policy(limit=100)
    delays = [slot.delay(100.0) for _ in range(6)]
    assert delays == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.6])


def test_no_wait_is_longer_than_the_longest_backoff():
    """The doubling ends at ``backoff_max``, after however many restarts."""
    slot = policy(backoff_max=0.5, limit=1000)
    delays = [slot.delay(100.0) for _ in range(200)]
    assert max(delays) == 0.5
    assert delays[-1] == 0.5


def test_a_huge_limit_does_not_overflow():
    """2000 doublings are not a float any more; the wait is."""
    slot = policy(backoff_max=1e300, limit=10_000, window=1e9)
    delays = [slot.delay(100.0) for _ in range(2000)]
    assert delays[-1] == delays[-2] < 1e300


@pytest.mark.parametrize(('share', 'factor'), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_jitter_takes_off_up_to_half(share: float, factor: float):
    """The random factor goes from 0.5 to 1, so that those that fell together rise apart."""
    slot = policy(share=share)
    slot.delay(0.0)
    assert slot.delay(0.0) == pytest.approx(0.1 * factor)


def test_as_many_restarts_as_the_limit_are_not_a_failure():
    """Only more than ``limit`` within the window make the slot failing."""
    slot = policy(limit=3)
    for _ in range(3):
        slot.delay(10.0)
    assert not slot.failing(10.0)
    slot.delay(10.0)
    assert slot.failing(10.0)


def test_a_failing_slot_keeps_trying_at_the_longest_backoff():
    """It is never given up: there is a delay, the longest there is."""
    slot = policy(backoff_max=10.0, limit=2)
    delays = [slot.delay(10.0) for _ in range(4)]
    assert delays == pytest.approx([0.0, 0.1, 10.0, 10.0])


def test_with_a_limit_of_zero_every_restart_is_a_failure():
    """The first is immediate all the same, and reported."""
    slot = policy(limit=0)
    assert slot.delay(1.0) == 0.0
    assert slot.failing(1.0)
    assert slot.delay(1.0) == 10.0


def test_restarts_are_forgotten_when_the_window_has_left_them():
    """Up to the window's end they count; past it they do not."""
    slot = policy(limit=1, window=30.0)
    slot.delay(0.0)
    slot.delay(5.0)
    assert slot.failing(30.0)
    assert not slot.failing(30.1)


def test_a_while_of_health_makes_the_next_restart_immediate_again():
    """With nothing left in the window a slot is as good as new."""
    slot = policy(window=30.0)
    for _ in range(10):
        slot.delay(0.0)
    assert slot.delay(30.1) == 0.0


def test_no_backoff_means_no_wait():
    """``backoff_max`` 0.0 restarts at once each time."""
    slot = policy(backoff_max=0.0, limit=1)
    assert [slot.delay(0.0) for _ in range(5)] == [0.0] * 5


@given(
    seed=st.integers(0, 2**32),
    backoff_max=st.floats(0.0, 100.0),
    limit=st.integers(0, 10),
    window=st.floats(0.1, 100.0),
    gaps=st.lists(st.floats(0.0, 50.0), max_size=40),
)
def test_every_delay_is_within_its_bounds(
    seed: int, backoff_max: float, limit: int, window: float, gaps: list[float]
):
    """Never negative, never beyond ``backoff_max``; at least half of it while failing."""
    slot = RestartPolicy(
        backoff_max=backoff_max, limit=limit, window=window, random_source=random.Random(seed)
    )
    now = 0.0
    restarts: list[float] = []
    for gap in gaps:
        now += gap
        recent = [each for each in restarts if now - each <= window]
        delay = slot.delay(now)
        restarts.append(now)
        assert 0.0 <= delay <= backoff_max
        assert slot.failing(now) == (len(recent) + 1 > limit)
        if not recent:
            assert delay == 0.0
        elif slot.failing(now):
            assert delay >= backoff_max / 2
