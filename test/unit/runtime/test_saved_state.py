"""A state and the answers that go with it, in a file."""

from __future__ import annotations

import errno
import itertools
import os
import stat

import pytest
from support.children import child

from worker_pipeline.runtime import answers
from worker_pipeline.runtime.answers import Answer, RecentAnswers
from worker_pipeline.runtime.saved_state import Saved, SavedState

WRITER = """
import sys
from pathlib import Path
from worker_pipeline.runtime.answers import Answer, RecentAnswers
from worker_pipeline.runtime.saved_state import SavedState

saved, recent = SavedState(Path(sys.argv[1])), RecentAnswers(3)
for number in range(1, 1_000_000):
    recent.add(Answer(number, 'output', output=b'%d' % number))
    saved.write(b'%d ' % number * 20_000, recent)
    print(number, flush=True)
"""


@pytest.fixture
def saved(tmp_path):
    return SavedState(tmp_path / 'stage.worker_0')


def recently(*given_: Answer) -> RecentAnswers:
    recent = RecentAnswers(5)
    for answer in given_:
        recent.add(answer)
    return recent


def test_nothing_is_read_where_nothing_was_saved(saved):
    """A new slot begins with no state, which is not an empty one."""
    assert saved.read() is None
    saved.write(b'', recently())
    assert saved.read() == Saved(b'', [])


def test_what_was_saved_last_is_read(saved):
    """By whoever knows the path: state and answers, in order, and nothing of before."""
    saved.write(b'a long first state', recently(Answer(1, answers.NONE)))
    given_ = [Answer(3, answers.OUTPUT, output=b'\x00\xff'), Answer(2, answers.REFUSED, 'grün')]
    saved.write(bytearray(b'second'), recently(*given_))
    assert SavedState(saved.path).read() == Saved(b'second', given_)
    assert isinstance(saved.read().answers[0], Answer)


def test_it_is_for_nobody_else(saved):
    """And there is one file, not two."""
    saved.write(b'state', recently())
    assert stat.S_IMODE(saved.path.stat().st_mode) == 0o600
    assert list(saved.path.parent.iterdir()) == [saved.path]


def test_what_cannot_be_saved_leaves_what_was(saved, monkeypatch):
    """Half of it was written when the room was used up."""
    saved.write(b'old', recently(Answer(1, answers.NONE)))
    write, used_up = os.write, itertools.count()

    def full(file, data):
        if next(used_up):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, bytes(data)[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, 'write', full)
        with pytest.raises(OSError, match='No space left'):
            saved.write(b'new', recently(Answer(2, answers.NONE)))
    assert saved.read() == Saved(b'old', [Answer(1, answers.NONE)])
    saved.write(b'new', recently())
    assert saved.read() == Saved(b'new', [])


def test_what_is_written_in_pieces_is_read_whole(saved, monkeypatch):
    """A write may take fewer bytes than it is given."""
    write = os.write
    monkeypatch.setattr(os, 'write', lambda file, data: write(file, bytes(data)[:7]))
    saved.write(b'state' * 20, recently(Answer(2, answers.OUTPUT, output=b'output')))
    assert saved.read() == Saved(b'state' * 20, [Answer(2, answers.OUTPUT, '', b'output')])


@pytest.mark.parametrize('said', [1, 2, 5, 20, 60])
def test_a_killed_worker_leaves_a_state_and_its_answers(saved, said: int):
    """Whole, of the same moment, and no older than what it said."""
    with child(WRITER, saved.path) as writer:
        last = [writer.line() for _ in range(said)][-1]
        last = [last, *writer.kill()][-1]
    state, given_ = saved.read()
    number = int(state.split()[0])
    assert state == b'%d ' % number * 20_000
    assert [each.number for each in given_] == list(range(max(1, number - 2), number + 1))
    assert int(last) <= number <= int(last) + 1
