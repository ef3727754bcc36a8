# SPDX-License-Identifier: Apache-2.0
"""What the stamps of a source are, by their distance from the arrival of its messages."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.stamp_check import (
    MIN_MESSAGES,
    WINDOW,
    Clocks,
    StampCheck,
    StampKind,
)

MS = 1_000_000
SECOND = 1000 * MS
NOW = 1_790_000_000 * SECOND
BOOT = 5_000 * SECOND
PERIOD = 50 * MS
OURS = Clocks(BOOT)
SIMULATED = Clocks(BOOT, is_simulated=True)


class Source:
    """A driver that publishes every ``PERIOD``; its messages travel for 8 to 12 ms."""

    def __init__(self, *, clocks: Clocks = OURS, start: int = NOW, is_image: bool = False) -> None:
        self.check = StampCheck(is_image=is_image)
        self.clocks = clocks
        self.now = self._start = start
        self.told = []
        self._generator = random.Random(1)

    def publish(self, count: int, stamp, travel: int = 10 * MS) -> None:
        """Publish messages; ``stamp`` makes the stamp of the time at which each is sent."""
        for number in range(count):
            self.now += PERIOD
            arrived = self.now + travel + self._generator.randrange(-travel // 5, travel // 5 + 1)
            self.check.note(stamp(self.now), arrived)
            if number % 10 == 9:
                self.look()

    def look(self) -> None:
        boot = self.clocks.boot + self.now - self._start
        found = self.check.look(Clocks(boot, is_simulated=self.clocks.is_simulated))
        if found is not None:
            self.told.append(found)

    @property
    def kind(self) -> StampKind:
        return self.check.finding.kind


def shifted(by: int):
    return lambda now: now + by


def test_stamps_of_the_time_of_measurement_are_good_and_nothing_is_told():
    source = Source()
    source.publish(300, shifted(0))
    assert source.kind is StampKind.GOOD
    assert source.told == []
    assert source.check.offset == pytest.approx(10 * MS, abs=MS)
    assert 0 < source.check.jitter < 2 * MS
    assert source.check.rate.rate == pytest.approx(20.0)


@pytest.mark.parametrize(
    ('by', 'kind', 'is_warning', 'text'),
    [
        (
            BOOT - NOW,
            StampKind.BOOT,
            True,
            'stamps are the time since the boot of this machine',
        ),
        (
            77 * SECOND - NOW,
            StampKind.SINCE_START,
            False,
            'stamps are the time since the boot of another device',
        ),
        (
            500 * MS,
            StampKind.AHEAD,
            True,
            'stamps are 0.49 s ahead of their arrival: another clock',
        ),
        (
            -120 * MS,
            StampKind.LATE,
            False,
            'stamps are 0.13 s behind their arrival: the latency of their source',
        ),
        (
            -86_400 * SECOND,
            StampKind.BEHIND,
            False,
            'stamps are 8.64e+04 s behind their arrival: another clock, or a recording',
        ),
    ],
    ids=lambda each: each.name if isinstance(each, StampKind) else '',
)
def test_another_clock_is_told_once(by, kind, is_warning, text):
    source = Source()
    source.publish(300, shifted(by))
    (found,) = source.told
    assert found.kind is source.kind is kind
    assert found.is_warning is is_warning
    assert found.text.startswith(text)


@pytest.mark.parametrize('is_image', [True, False])
def test_images_cannot_arrive_when_they_are_captured(is_image):
    """An image that is stamped at its read-out; another message may be stamped when it is sent."""
    source = Source(is_image=is_image)
    source.publish(100, shifted(0), travel=MS)
    if is_image:
        (found,) = source.told
        assert found.kind is StampKind.AT_ARRIVAL
        assert not found.is_warning
        assert found.text.startswith('stamps are 0.001 s behind their arrival: images are stamped')
    else:
        assert source.kind is StampKind.GOOD


def test_zero_is_told_at_once_and_is_over_with_the_last_one():
    source = Source()
    source.check.note_zero()
    source.look()
    source.check.note_zero()
    source.look()
    (found,) = source.told
    assert (found.kind, found.is_warning) == (StampKind.ZERO, True)
    assert source.kind is StampKind.ZERO
    source.look()
    assert source.kind is StampKind.UNKNOWN


def test_publishers_with_different_clocks_are_jumping():
    source = Source()
    clocks = [0, -3 * SECOND]
    source.publish(200, lambda now: now + clocks[now // PERIOD % 2])
    assert [each.kind for each in source.told] == [StampKind.JUMPING]
    assert source.told[0].is_warning
    assert source.told[0].text.startswith('stamps are jumping, the last one by ')


@pytest.mark.parametrize('by', [-60 * SECOND, 60 * SECOND])
def test_one_jump_is_told_as_such_and_is_no_warning(by):
    """A recording begins again: it has the same distance from then on as it had before, or not."""
    source = Source()
    source.publish(100, shifted(-100 * SECOND))
    source.publish(300, shifted(-100 * SECOND + by))
    kinds = [each.kind for each in source.told]
    assert kinds == [StampKind.BEHIND, StampKind.JUMPED]
    assert not source.told[1].is_warning
    assert f'jumped {"ahead" if by > 0 else "back"} by 60 s' in source.told[1].text
    assert source.kind is StampKind.BEHIND


def test_a_recording_that_is_played_faster_is_not_jumping():
    """A message of every second, twenty times a second."""
    source = Source()
    source.publish(200, lambda now: NOW - 10**6 * SECOND + (now - NOW) * 20)
    assert {each.kind for each in source.told} == {StampKind.FAST}
    assert not source.told[0].is_warning


def test_a_pause_of_ours_is_not_taken_for_a_clock():
    """We stood still for 5 s; a hundred messages are read at once, then all is as before."""
    source = Source()
    source.publish(100, shifted(0))
    stamps = [source.now + number * PERIOD for number in range(1, 101)]
    source.now = stamps[-1]
    for stamp in stamps:
        source.check.note(stamp, source.now)
        source.look()
    source.publish(200, shifted(0))
    assert source.told == []
    assert source.kind is StampKind.GOOD


def test_a_source_that_pauses_has_no_other_clock():
    source = Source()
    source.publish(100, shifted(0))
    source.now += 60 * SECOND
    source.publish(100, shifted(0))
    assert source.told == []


def test_a_recording_on_simulated_time_is_good():
    """The clock shows a time every 100 ms, and messages overtake it."""
    source = Source(clocks=SIMULATED, start=1000 * SECOND)
    for number in range(300):
        stamp = 1000 * SECOND + number * 20 * MS
        source.check.note(stamp, stamp // (100 * MS) * (100 * MS))
        source.look()
    assert source.told == []
    assert source.kind is StampKind.GOOD


def test_a_loop_of_simulated_time_is_no_jump():
    source = Source(clocks=SIMULATED)
    for _ in range(4):
        source.now = 1000 * SECOND
        source.publish(100, shifted(0))
    assert source.told == []


@pytest.mark.parametrize('clocks', [OURS, SIMULATED])
def test_a_short_recording_in_a_loop_is_not_jumping(clocks):
    """Twenty messages, again and again; simulated time is set back a little later or earlier."""
    source = Source(clocks=clocks)
    for _ in range(20):
        begin = source.now
        source.publish(20, lambda now, begin=begin: NOW - 100 * SECOND + (now - begin))
        if clocks is SIMULATED:
            source.now = NOW
    assert StampKind.JUMPING not in [each.kind for each in source.told]
    assert not any(each.is_warning for each in source.told)


def test_nothing_is_told_from_before_time_became_simulated():
    source = Source()
    source.publish(100, shifted(0))
    source.clocks = SIMULATED
    source.look()
    assert source.kind is StampKind.UNKNOWN
    source.now = 5 * SECOND  # /clock has begun
    source.publish(100, shifted(0))
    assert source.told == []
    assert source.kind is StampKind.GOOD


def test_a_corrected_source_is_good_again():
    source = Source()
    source.publish(100, shifted(400 * MS))
    source.publish(300, shifted(0))
    assert [each.kind for each in source.told] == [StampKind.AHEAD]
    assert source.kind is StampKind.GOOD


def test_too_few_messages_show_nothing():
    source = Source()
    source.publish(MIN_MESSAGES - 1, shifted(5 * SECOND))
    source.look()
    assert source.check.offset is source.check.jitter is None
    assert source.kind is StampKind.UNKNOWN


@given(
    by=st.integers(-100 * 365 * 86_400 * SECOND, 100 * 365 * 86_400 * SECOND),
    period=st.integers(MS, 2 * SECOND),
    seed=st.integers(0, 99),
)
def test_a_constant_clock_is_told_at_most_once_and_measured_right(by, period, seed):
    generator = random.Random(seed)
    check, told, now = StampCheck(), [], NOW
    for _ in range(3 * WINDOW):
        now += period
        check.note(now + by, now + generator.randrange(5 * MS))
        found = check.look(OURS)
        told += [] if found is None else [found]
    assert len(told) <= 1
    assert abs(check.offset + by) <= 5 * MS
    assert check.finding.kind not in (StampKind.JUMPING, StampKind.JUMPED, StampKind.UNKNOWN)
    assert (check.rate.gaps, check.rate.back) == (0, 0)


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63), st.integers(0, 2**63), st.booleans()),
        max_size=200,
    ),
    st.booleans(),
)
def test_any_stamps_are_told_in_a_few_lines(messages, is_simulated):
    check, told = StampCheck(is_image=True), []
    for stamp, arrived, is_zero in messages:
        if is_zero:
            check.note_zero()
        else:
            check.note(stamp, arrived)
        found = check.look(Clocks(BOOT, is_simulated=is_simulated))
        told += [] if found is None else [found.kind]
    assert len(told) == len(set(told))
