# SPDX-License-Identifier: Apache-2.0
"""The buffer behind contexts."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline import ContextBuffer
from worker_pipeline.context import CLOCK_JUMP, header_of, stamp_ns

BOUND = 10.0  # s that a test waits at most for an immediate event


def time(nanoseconds: int) -> SimpleNamespace:
    """A builtin_interfaces/Time, as far as a buffer looks at one."""
    return SimpleNamespace(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def message(stamp: int, text: str = '') -> SimpleNamespace:
    return SimpleNamespace(header=SimpleNamespace(stamp=time(stamp)), text=text)


def filled(*stamps: int, capacity: int = 256) -> ContextBuffer:
    buffer = ContextBuffer(capacity)
    for stamp in stamps:
        buffer.add(message(stamp))
    return buffer


def stamps_of(*messages) -> tuple[int | None, ...]:
    return tuple(each and stamp_ns(each.header.stamp) for each in messages)


class Lookup(threading.Thread):
    """A thread that calls ``around``, and signals when it has to wait."""

    def __init__(self, buffer: ContextBuffer, stamp: int, timeout: float) -> None:
        super().__init__(daemon=True)
        self.buffer = buffer
        self.stamp = stamp
        self.timeout = timeout
        self.answer: tuple[int | None, ...] = ()
        self.waits = threading.Semaphore(0)
        wait = buffer._changed.wait

        def announced(timeout: float | None = None) -> bool:
            # The buffer is locked here; another thread can fill it only when this one waits.
            self.waits.release()
            return wait(timeout)

        buffer._changed.wait = announced

    def run(self) -> None:
        self.answer = stamps_of(*self.buffer.around(self.stamp, timeout=self.timeout))

    def until_it_waits(self) -> None:
        assert self.waits.acquire(timeout=BOUND), 'it never waited'

    def answered(self) -> tuple[int | None, ...]:
        self.join(BOUND)
        assert not self.is_alive(), 'it never came back'
        return self.answer


# -- stamps and headers --------------------------------------------------------------------------


def test_a_stamp_is_converted_to_nanoseconds():
    """Exactly, from seconds and nanoseconds; an int is in nanoseconds already."""
    assert stamp_ns(SimpleNamespace(sec=1_700_000_000, nanosec=123_456_789)) == (
        1_700_000_000_123_456_789
    )
    assert stamp_ns(42) == 42


def test_the_header_of_a_header_is_itself():
    """Messages have one; a std_msgs/Header is one."""
    header = SimpleNamespace(stamp=time(5))
    assert header_of(SimpleNamespace(header=header)) is header
    assert header_of(header) is header


def test_a_header_may_be_a_context():
    """It is kept by its own stamp."""
    buffer = ContextBuffer()
    header = SimpleNamespace(stamp=time(5))
    buffer.add(header)
    assert buffer.nearest(5) is header


# -- messages kept -------------------------------------------------------------------------------


def test_an_empty_buffer_returns_none():
    """From every lookup, without waiting."""
    buffer = ContextBuffer()
    assert len(buffer) == 0
    assert buffer.latest() is None
    assert buffer.nearest(5) is None
    assert buffer.around(5) == (None, None)


def test_the_latest_message_has_the_newest_stamp():
    """It need not be the one received last."""
    assert stamps_of(filled(1, 9, 5).latest()) == (9,)


def test_a_message_replaces_one_with_the_same_stamp():
    """As a correction does."""
    buffer = filled(1, 2, 3)
    buffer.add(message(2, 'corrected'))
    assert len(buffer) == 3
    assert buffer.nearest(2).text == 'corrected'


def test_a_full_buffer_drops_the_oldest_message():
    """By stamp: a message older than all others in a full buffer is dropped at once."""
    buffer = filled(5, 1, 3, 4, capacity=3)
    assert (len(buffer), stamps_of(buffer.nearest(0))) == (3, (3,))
    buffer.add(message(2))
    assert (len(buffer), stamps_of(buffer.nearest(0))) == (3, (3,))


def test_a_capacity_of_zero_is_rejected():
    """The error has the value and the allowed values."""
    with pytest.raises(ValueError, match='capacity: found 0; allowed: 1 or more'):
        ContextBuffer(0)


def test_newer_messages_are_dropped_when_the_clock_is_set_back():
    """Older ones are kept."""
    second = 10**9
    buffer = filled(1 * second, 10 * second, 11 * second)
    buffer.add(message(4 * second))
    assert stamps_of(buffer.latest(), *buffer.around(5 * second)) == (
        4 * second,
        4 * second,
        None,
    )
    assert len(buffer) == 2


def test_a_full_buffer_works_after_the_clock_was_set_back():
    """Although all messages in it are newer."""
    buffer = filled(*(10**12 + each for each in range(4)), capacity=4)
    buffer.add(message(50))
    buffer.add(message(60))
    assert stamps_of(*buffer.around(55)) == (50, 60)


def test_a_message_without_a_stamp_is_no_clock_set_back():
    """It would take all others with it."""
    buffer = filled(10**12, 2 * 10**12)
    buffer.add(message(0))
    assert stamps_of(buffer.latest(), buffer.nearest(1)) == (2 * 10**12, 10**12)
    assert len(buffer) == 2


def test_messages_without_stamps_are_kept_where_there_are_no_others():
    """Of a publisher that stamps nothing, the newest one counts."""
    buffer = filled(0)
    last = message(0)
    buffer.add(last)
    assert buffer.latest() is last
    buffer.add(message(10**12))
    assert stamps_of(buffer.latest()) == (10**12,)


def test_a_little_disorder_does_not_count_as_a_clock_set_back():
    """As between two publishers, or of a redelivered item."""
    buffer = filled(CLOCK_JUMP + 10, 10)
    assert stamps_of(*buffer.around(20)) == (10, CLOCK_JUMP + 10)
    buffer.add(message(9))
    assert stamps_of(buffer.latest()) == (9,)


def test_around_waits_again_when_the_clock_is_set_back():
    """For a message of the new time."""
    lookup = Lookup(filled(10**12), 15, timeout=1000.0)
    lookup.buffer.add(message(10))
    lookup.start()
    lookup.until_it_waits()
    lookup.buffer.add(message(20))
    assert lookup.answered() == (10, 20)


# -- nearest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('stamp', 'nearest'), [(0, 10), (10, 10), (14, 10), (15, 10), (16, 20), (20, 20), (99, 20)]
)
def test_nearest_returns_the_message_with_the_least_distance(stamp: int, nearest: int):
    """The earlier of two equally near; beyond the ends the first or the last."""
    assert stamps_of(filled(20, 10).nearest(stamp)) == (nearest,)


def test_nearest_accepts_the_stamp_of_a_message():
    """Without a conversion in the stage."""
    assert stamps_of(filled(10**9, 2 * 10**9).nearest(time(1_600_000_000))) == (2 * 10**9,)


@given(st.lists(st.integers(0, 60), max_size=30), st.integers(0, 60), st.integers(1, 10))
def test_nearest_and_around_agree_with_a_plain_search(
    stamps: list[int], wanted: int, capacity: int
):
    """For any messages in any order, as in a sorted list of the newest ones."""
    buffer = filled(*stamps, capacity=capacity)
    kept: list[int] = []
    for stamp in stamps:
        kept = sorted({*kept, stamp})[-capacity:]
    assert len(buffer) == len(kept)
    assert stamps_of(buffer.latest()) == (max(kept, default=None),)
    distances = [(abs(each - wanted), each) for each in kept]
    assert stamps_of(buffer.nearest(wanted)) == (min(distances)[1] if kept else None,)
    before = max((each for each in kept if each < wanted), default=None)
    after = min((each for each in kept if each > wanted), default=None)
    assert stamps_of(*buffer.around(wanted)) == (
        (wanted, wanted) if wanted in kept else (before, after)
    )


# -- around --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('stamp', 'around'),
    [(5, (None, 10)), (10, (10, 10)), (15, (10, 20)), (20, (20, 20)), (25, (20, None))],
)
def test_around_returns_the_messages_just_before_and_just_after(
    stamp: int, around: tuple[int | None, int | None]
):
    """A message with exactly this stamp is both; a missing one is None."""
    assert stamps_of(*filled(10, 20).around(stamp)) == around


def test_around_does_not_wait_if_there_is_a_later_message():
    """Whatever the timeout is."""
    lookup = Lookup(filled(10, 20), 15, timeout=1000.0)
    lookup.start()
    assert lookup.answered() == (10, 20)
    assert not lookup.waits.acquire(blocking=False)


@pytest.mark.parametrize(('comes', 'around'), [(15, (15, 15)), (16, (10, 16))])
def test_around_waits_for_a_message_at_or_after_the_stamp(
    comes: int, around: tuple[int | None, int | None]
):
    """Odometry is often a little behind the image."""
    lookup = Lookup(filled(10), 15, timeout=1000.0)
    lookup.start()
    lookup.until_it_waits()
    lookup.buffer.add(message(comes))
    assert lookup.answered() == around


def test_around_continues_to_wait_after_an_earlier_message():
    """For the rest of its time."""
    lookup = Lookup(ContextBuffer(), 15, timeout=1000.0)
    lookup.start()
    lookup.until_it_waits()
    lookup.buffer.add(message(10))
    lookup.until_it_waits()
    lookup.buffer.add(message(20))
    assert lookup.answered() == (10, 20)


def test_around_returns_what_there_is_after_the_timeout():
    """The missing message is None."""
    lookup = Lookup(filled(10), 15, timeout=0.01)
    lookup.start()
    assert lookup.answered() == (10, None)


def test_several_waiting_threads_are_all_woken():
    """By one message: contexts are not consumed."""
    buffer = ContextBuffer()
    lookup = [Lookup(buffer, stamp, timeout=1000.0) for stamp in (5, 10)]
    for each in lookup:
        each.start()
    # The second announcement wraps the first: it is made for either thread.
    for _ in lookup:
        lookup[-1].until_it_waits()
    buffer.add(message(10))
    assert [each.answered() for each in lookup] == [(None, 10), (10, 10)]


def test_one_thread_may_fill_a_buffer_while_another_reads():
    """The reader always gets messages with the stamps they were kept by."""
    buffer = ContextBuffer(8)
    problems: list[tuple[int | None, ...]] = []

    def read() -> None:
        for wanted in range(2000):
            before, after = stamps_of(*buffer.around(wanted))
            exact = before == after == wanted
            if not exact and not ((before or -1) < wanted < (after or wanted + 1)):
                problems.append((before, wanted, after))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for stamp in range(2000):
        buffer.add(message(stamp))
    reader.join(BOUND)
    assert not reader.is_alive()
    assert problems == []
