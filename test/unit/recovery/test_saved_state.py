# SPDX-License-Identifier: Apache-2.0
"""A state and the answers that go with it, in a file."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from pathlib import Path

import pytest
from support.child_processes import child

from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.recovery.checked_file import DamagedFileError
from worker_pipeline.recovery.saved_state import Saved, SavedState
from worker_pipeline.recovery.set_aside import set_aside

WRITER = """
import sys
from pathlib import Path
from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.recovery.saved_state import SavedState

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


def test_without_a_saved_state_none_is_read(saved):
    """A new slot starts without a state, which differs from an empty one."""
    assert saved.read() is None
    saved.write(b'', recently())
    assert saved.read() == Saved(b'', [])


def test_the_last_saved_state_is_read(saved):
    """State and answers, in order, and nothing of earlier ones."""
    saved.write(b'a long first state', recently(Answer(1, answers.NONE)))
    given_ = [Answer(3, answers.OUTPUT, output=b'\x00\xff'), Answer(2, answers.REFUSED, 'grün')]
    saved.write(bytearray(b'second'), recently(*given_))
    assert SavedState(saved.path).read() == Saved(b'second', given_)
    assert isinstance(saved.read().answers[0], Answer)


def test_the_file_is_private(saved):
    """There is one file, not two."""
    saved.write(b'state', recently())
    assert stat.S_IMODE(saved.path.stat().st_mode) == 0o600
    assert list(saved.path.parent.iterdir()) == [saved.path]


def test_a_failed_write_leaves_the_earlier_state(saved, monkeypatch):
    """Half of the new one was written when space ran out."""
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


def test_a_state_written_in_pieces_is_read_completely(saved, monkeypatch):
    """A write may take fewer bytes than it is given."""
    write = os.write
    monkeypatch.setattr(os, 'write', lambda file, data: write(file, bytes(data)[:7]))
    saved.write(b'state' * 20, recently(Answer(2, answers.OUTPUT, output=b'output')))
    assert saved.read() == Saved(b'state' * 20, [Answer(2, answers.OUTPUT, '', b'output')])


@pytest.mark.slow
@pytest.mark.parametrize('said', [1, 2, 5, 20, 60])
def test_a_killed_worker_leaves_a_state_with_its_answers(saved, said: int):
    """Complete, of the same moment, and no older than the last reported one."""
    with child(WRITER, saved.path) as writer:
        last = [writer.line() for _ in range(said)][-1]
        last = [last, *writer.kill()][-1]
    state, given_, _ = saved.read()
    number = int(state.split()[0])
    assert state == b'%d ' % number * 20_000
    assert [each.number for each in given_] == list(range(max(1, number - 2), number + 1))
    assert int(last) <= number <= int(last) + 1


def test_the_next_worker_can_read_it_whatever_umask_a_stage_has_set(saved):
    umask = os.umask(0o777)
    try:
        saved.write(b'state', RecentAnswers(1))
    finally:
        os.umask(umask)
    assert stat.S_IMODE(saved.path.stat().st_mode) == 0o600


@pytest.mark.timeout(20)
@pytest.mark.parametrize('make', [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_place_of_a_state_is_known_to_be_none(saved, make):
    """Reading a named pipe, or writing to one, would wait for its other end."""
    make(saved.path)
    make(saved.path.with_name(saved.path.name + '.new'))
    with pytest.raises(DamagedFileError, match=str(saved.path)):
        saved.read()
    set_aside(saved.path)
    saved.write(b'state', RecentAnswers(1))
    assert saved.read() is not None


@pytest.mark.parametrize('kind', ['flip', 'cut', 'zeroed', 'grown'])
def test_a_damaged_state_is_known_to_be_damaged(saved, kind: str):
    """Wherever it is damaged, it is never taken for a state."""
    saved.write(b'state', recently(Answer(1, answers.NONE)))
    data = saved.path.read_bytes()
    for at in range(len(data)):
        saved.path.write_bytes(
            {
                'flip': data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :],
                'cut': data[:at],
                'zeroed': data[:at] + bytes(len(data) - at),
                'grown': data + bytes(at + 1),
            }[kind]
        )
        if saved.path.read_bytes() == data:
            continue  # zeroing what was zero
        with pytest.raises(DamagedFileError, match=str(saved.path)):
            saved.read()


def test_a_state_that_has_grown_larger_than_the_memory_is_not_read(saved):
    saved.write(b'state', recently())
    os.truncate(saved.path, 1 << 40)
    with pytest.raises(DamagedFileError, match=str(saved.path)):
        saved.read()
