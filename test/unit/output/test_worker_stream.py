# SPDX-License-Identifier: Apache-2.0
"""A worker's output is stamped with its name, and limited; the manager's stays as it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.output import worker_stream
from worker_pipeline.output.lines import MAX_LINE, PartialLine
from worker_pipeline.output.rate_limit import RateLimit
from worker_pipeline.output.worker_stream import (
    LAST_LINES,
    MAX_SEARCHED,
    ManagerStream,
    WorkerOutput,
    WorkerStream,
)

LOG = b'[INFO] [1795897.25] [airside.detect.worker_0]: ready'


def worker(lines: float = 1000.0) -> tuple[WorkerOutput, WorkerStream]:
    output = WorkerOutput('detect/worker_0')
    output.limit = RateLimit(lines=lines, size=1e9, burst=1)
    return output, WorkerStream(output)


def test_each_line_is_stamped_except_log_lines_that_name_their_worker():
    output, stream = worker()
    found = b''.join(stream.feed(b'hello\n\n' + LOG + b'\n\xff\n', 0.0))
    stamp = b'[detect/worker_0]'
    assert found == stamp + b' hello\n' + stamp + b'\n' + LOG + b'\n' + stamp + b' \\xff\n'
    assert list(output.last_lines) == ['hello', r'\xff']


def test_a_line_without_an_end_is_shown_after_a_while_or_at_the_end():
    _, stream = worker()
    assert list(stream.feed(b'loading', 5.0)) == []
    assert stream.flush_at() == 6.0
    assert list(stream.flush(6.0)) == [b'[detect/worker_0] loading\n']
    assert stream.flush_at() is None
    assert list(stream.flush(7.0)) == []


def test_a_progress_bar_is_shown_once_per_second():
    _, stream = worker()
    shown = []
    for step in range(100):
        now = step / 20
        shown += stream.feed(b'\r%d %%' % step, now)
        due = stream.flush_at()
        if due is not None and due <= now:
            shown += stream.flush(now)
    shown += stream.feed(b'\n', 5.0)
    assert 5 <= len(shown) <= 6
    assert shown[-1] == b'[detect/worker_0] 99 %\n'


def test_beyond_the_limit_lines_are_counted_and_the_last_ones_kept_for_the_death():
    output, stream = worker(lines=10)
    data = b''.join(b'%d\n' % number for number in range(1000))
    shown = [*stream.feed(data, 0.0), *stream.feed(data, 0.0)]
    assert shown == [b'[detect/worker_0] %d\n' % number for number in range(10)]
    assert output.limit.dropped == 1990
    assert output.last_lines[-1] == '999'


@pytest.mark.parametrize(
    ('printed', 'kept'),
    [
        (b'\nwords\n' + b' \r\n' * 5000, ['words']),
        (b'\nwords\n' + (LOG + b'\n') * 1000, ['words']),
        (b'10 %\r20 %\r\n' * 2, ['20 %', '20 %']),
        (b'\n\xff\n\0\n\v\n', [r'\xff', r'\x00', r'\x0b']),
        ((b'x' * (MAX_LINE + 1) + b'\n') * 2, ['x' * 400] * 2),
        ((b' ' * 500 + b'far right\n') * 2, []),
        (('\N{ROCKET}' * 500 + '\n').encode() * 2, ['\N{ROCKET}' * 400] * 2),
    ],
)
def test_the_last_words_among_dropped_lines(printed, kept):
    output, stream = worker(lines=1)
    assert len([*stream.feed(b'\n', 0.0)]) == 1
    assert list(stream.feed(printed, 0.0)) == []
    assert list(output.last_lines) == kept
    assert output.limit.dropped == printed.count(b'\n')
    assert stream.flush_at() is None


def test_dropped_lines_are_not_split(monkeypatch):
    looked_at = []
    monkeypatch.setattr(worker_stream, 'printable', lambda line: looked_at.append(line) or 'x')
    output, stream = worker(lines=1)
    assert len([*stream.feed(b'child\n' * 100_000, 0.0)]) == 1
    assert output.limit.dropped == 99_999
    assert len(looked_at) <= LAST_LINES + 2
    log = LOG + b'\n'
    assert [*stream.feed(b'words\n' * 2 + log * MAX_SEARCHED, 0.0)] == []
    assert len(looked_at) <= LAST_LINES + 3


def test_a_line_that_begins_among_dropped_ones_is_shown_when_there_is_room_again():
    _, stream = worker(lines=1)
    assert len([*stream.feed(b'1\n2\nthr', 5.0)]) == 1
    assert stream.flush_at() == 6.0
    assert list(stream.feed(b'ee\n4\nfi', 5.5)) == []
    assert stream.flush_at() == 6.5
    assert list(stream.feed(b've\n', 6.0)) == [b'[detect/worker_0] five\n']


class LineByLine:
    """What a worker's stream does, in the simplest way."""

    def __init__(self, output: WorkerOutput) -> None:
        self._output = output
        self._line = PartialLine()

    def feed(self, data: bytes, now: float) -> list[bytes]:
        self._output.limit.refill(now)
        shown = []
        *ended, begun = data.split(b'\n')
        for part in ended:
            self._line.extend(part)
            shown.append(self._output.stamped(self._line.take()))
        self._line.extend(begun)
        return [line for line in shown if line is not None]

    def flush(self, _: float) -> list[bytes]:
        line = self._line.take()
        shown = self._output.stamped(line) if line else None
        return [] if shown is None else [shown]


TEXTS = [
    b'',
    b'a',
    b'\r',
    b' ',
    b'\t',
    b'\xff\0',
    'é\u2003'.encode(),
    b'x' * 5000,
    b' ' * 9000,
    LOG,
]
OUTPUT = st.lists(
    st.builds(
        lambda texts, end, count: (b''.join(texts) + end) * count,
        st.lists(st.sampled_from(TEXTS), max_size=3),
        st.sampled_from([b'\n', b'\r\n', b'']),
        st.sampled_from([1, 2, LAST_LINES - 1, LAST_LINES, 300]),
    ),
    max_size=4,
).map(b''.join)
Streams = list[WorkerStream] | list[LineByLine]


def outcome(make: Callable[[WorkerOutput], Streams], history, limits):
    """Return all that is shown, counted and kept, and the room that is left, step by step."""
    output = WorkerOutput('detect/worker_0')
    output.limit = RateLimit(*limits)
    streams = make(output)
    now = 0.0
    steps = []
    for index, data, wait in history:
        now += wait
        stream = streams[index]
        shown = [*(stream.flush(now) if data is None else stream.feed(data, now))]
        steps.append((shown, [*output.last_lines], dict(vars(output.limit))))
    return steps


@given(
    st.lists(st.tuples(st.integers(0, 1), st.none() | OUTPUT, st.sampled_from([0, 0.01, 1]))),
    st.tuples(st.sampled_from([1, 100, 1e6]), st.sampled_from([10, 20_000, 1e9]), st.just(1)),
)
def test_dropped_lines_are_treated_as_if_each_were_looked_at(history, limits):
    """Whatever comes through both streams of a worker, and however it is cut."""
    fast = outcome(lambda output: [WorkerStream(output), WorkerStream(output)], history, limits)
    slow = outcome(lambda output: [LineByLine(output), LineByLine(output)], history, limits)
    assert fast == slow


@given(OUTPUT, st.data(), st.integers(1, 50))
def test_it_does_not_matter_how_the_output_arrives(data, draw, limit):
    edges = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=9)))
    pieces = [data[start:end] for start, end in itertools.pairwise([0, *edges, len(data)])]
    found = []
    for each in ([data], pieces):
        output, stream = worker(lines=limit)
        shown = [line for piece in each for line in stream.feed(piece, 0.0)]
        assert len(shown) <= limit
        assert len(shown) + output.limit.dropped == data.count(b'\n')
        found.append((shown, [*stream.flush(9.0)], [*output.last_lines]))
    assert found[0] == found[1]


def test_the_managers_lines_are_unchanged_and_whole():
    stream = ManagerStream()
    assert list(stream.feed(b'one\ntw', 0.0)) == [b'one\n']
    assert list(stream.feed(b'o\n\xff\r', 1.0)) == [b'two\n']
    assert stream.flush_at() == 1.1
    assert list(stream.flush(2.0)) == [b'\xff\r']
    assert stream.flush_at() is None


@given(st.lists(st.binary(max_size=100)))
def test_no_byte_of_the_manager_is_changed(pieces):
    stream = ManagerStream()
    found = b''.join(part for piece in pieces for part in stream.feed(piece, 0.0))
    assert found + b''.join(stream.flush(0.0)) == b''.join(pieces)


def test_a_long_line_of_the_manager_is_passed_on_in_parts():
    stream = ManagerStream()
    data = b'x' * (ManagerStream.MAX_LINE + 1)
    assert b''.join(stream.feed(data, 0.0)) == data
