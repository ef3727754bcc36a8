# SPDX-License-Identifier: Apache-2.0
"""What waits for a reader is bounded; what is missing is counted and noted in its place."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.output.backlog import Backlog, gap_note


def test_lines_leave_in_order():
    backlog = Backlog(100, 0)
    for line in (b'a\n', b'b\n', b'c\n'):
        backlog.add(line, 0.0)
    assert backlog.take(3, 0.0) == b'a\nb\n'
    assert backlog.take(100, 0.0) == b'c\n'
    assert backlog.take(100, 0.0) == b''
    assert backlog.is_empty


def test_missing_lines_are_noted_where_they_are_missing():
    backlog = Backlog(4, 0)
    for line in (b'1\n', b'2\n', b'3\n', b'4\n'):
        backlog.add(line, 10.0)
    assert backlog.dropped == 2
    assert backlog.take(2, 12.0) == b'1\n'
    backlog.add(b'5\n', 12.0)
    assert backlog.take(1000, 12.0) == b'2\n' + gap_note(2, 2.0).encode() + b'5\n'


def test_a_note_needs_no_further_line():
    backlog = Backlog(2, 0)
    backlog.add(b'1\n', 0.0)
    backlog.add(b'2\n', 0.0)
    assert backlog.take(1, 1.0) == b'1\n'
    assert not backlog.is_empty
    assert backlog.take(1, 3.0) == gap_note(1, 3.0).encode()
    assert backlog.is_empty


def test_a_part_is_reserved_for_the_manager():
    backlog = Backlog(4, 4)
    for line in (b'w1\n', b'w2\n'):
        backlog.add(line, 0.0)
    backlog.add(b'm1\n', 0.0, is_own=True)
    assert backlog.take(100, 0.0).startswith(b'w1\n')
    assert backlog.dropped == 1


def test_what_could_not_be_written_counts_as_missing_and_its_notes_not_twice():
    backlog = Backlog(4, 0)
    backlog.add(b'1\n2\n', 0.0)
    backlog.add(b'3\n', 0.0)
    backlog.take(100, 0.0)
    backlog.drop_taken(1.0)
    assert backlog.dropped == 3
    assert backlog.take(100, 2.0) == gap_note(3, 2.0).encode()
    backlog.drop_taken(3.0)
    assert backlog.dropped == 3
    assert backlog.take(100, 5.0) == gap_note(3, 2.0).encode()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just('add'), st.integers(1, 30), st.booleans()),
            st.tuples(st.just('take'), st.integers(1, 60), st.booleans()),
        ),
        max_size=100,
    )
)
def test_each_line_is_written_or_noted_once(steps):
    """And never more waits than the limit and a note allow."""
    backlog = Backlog(100, 50)
    added, written = 0, b''
    for kind, size, flag in steps:
        if kind == 'add':
            backlog.add(b'x' * (size - 1) + b'\n', 0.0, is_own=flag)
            added += 1
        else:
            data = backlog.take(size, 0.0)
            if flag:
                backlog.drop_taken(0.0)
            else:
                written += data
        assert backlog.size <= 150 + 2 * len(gap_note(10**6, 1.0))
    while not backlog.is_empty:
        written += backlog.take(1000, 0.0)
    notes = [int(each) for each in re.findall(r'\] (\d+) lines are', written.decode())]
    assert written.count(b'\n') - len(notes) + sum(notes) == added
    assert sum(notes) == backlog.dropped
