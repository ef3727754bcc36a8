# SPDX-License-Identifier: Apache-2.0
"""The journal: its records are read back, and never a history that did not happen."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

import pytest
from support.child_processes import child
from support.journal import RUN, fact, numbers_in

from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Ledger
from worker_pipeline.recovery import journal as journal_module
from worker_pipeline.recovery.journal import (
    FORMAT,
    Journal,
    Recovered,
    UnreadableJournalError,
    read,
)
from worker_pipeline.recovery.records import SourceChanged

SNAPSHOT = {'stage': {'items': [(1, 'input', b'\x00\xff', 1.5)], 'known': None}}
END_MARK = 8  # bytes
HEADERS = 60  # bytes, at most: the first line, an entry's header and the end mark

WRITER = """
import sys
from pathlib import Path
from worker_pipeline.recovery import journal
from worker_pipeline.recovery.records import FramesRetained, OutputsAcked

journal.COMPACT_AFTER = int(sys.argv[2])
writer = journal.Journal(Path(sys.argv[1]), 5, payloads=True)
writer.checkpoint({'count': 0})
for number in range(1_000_000):
    writer.append('stage', FramesRetained(number, bytes(number * 7919 % 300_000)))
    writer.append('stage', OutputsAcked(number))
    writer.commit()
    print(number, flush=True)
    if writer.needs_compaction:
        writer.checkpoint({'count': number + 1})
"""

ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from worker_pipeline.recovery.journal import Journal
from worker_pipeline.recovery.records import OutputsAcked

journal = Journal(Path(sys.argv[1]), 5, payloads=True)
journal.checkpoint({})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for number in range(100):
    journal.append('stage', OutputsAcked(number))
    try:
        journal.commit()
    except OSError as error:
        print(number, error.errno, journal.needs_compaction)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
if sys.argv[2]:
    journal.checkpoint({'count': 100})
for number in range(100, 103):
    journal.append('stage', OutputsAcked(number))
    journal.commit()
"""


def write(journal: Journal, *numbers: int) -> None:
    """Write one entry with several records."""
    for number in numbers:
        journal.append('stage', fact(number))
    journal.commit()


# -- the file ------------------------------------------------------------------------------------


def test_what_was_written_is_read_back(journal, path):
    """The snapshot, and the entries in order."""
    journal.checkpoint(SNAPSHOT)
    journal.recorder('one')('assign', ('worker_0',))
    journal.recorder('two')('accept', ('input', 2**62, b'\x00bytes', 1.25))
    journal.append('one', SourceChanged({'epoch': 7}))
    journal.commit()
    journal.recorder('one')('complete', ('worker_0', 1, (b'output',)))
    journal.commit()
    assert read(path) == Recovered(
        RUN,
        SNAPSHOT,
        [
            [
                ('one', 'assign', ('worker_0',)),
                ('two', 'accept', ('input', 2**62, b'\x00bytes', 1.25)),
                ('one', 'source', ({'epoch': 7},)),
            ],
            [('one', 'complete', ('worker_0', 1, (b'output',)))],
        ],
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_changes_are_written_only_when_they_are_committed(journal, path):
    """An event without changes makes no entry."""
    journal.checkpoint({})
    size = path.stat().st_size
    journal.commit()
    journal.append('stage', fact(1))
    assert path.stat().st_size == size
    assert read(path).entries == []


@pytest.mark.parametrize('payloads', [True, False])
def test_a_journal_without_payloads_has_everything_but_the_messages(path, payloads: bool):
    """Which worker holds which item is known in any case."""
    journal = Journal(path, RUN, payloads=payloads)
    journal.checkpoint({})
    ledger = Ledger(queue_size=5, record=journal.recorder('stage'))
    for stamp in (1, 2, 3):
        ledger.accept(ItemKey('input', stamp), b'the item', 0.5)
    ledger.assign('a')
    ledger.assign('b')
    ledger.complete('b', 2, (b'the output',))
    ledger.complete('a', 1)
    ledger.assign('a')
    journal.commit()
    journal.close()
    written = path.read_bytes()
    assert (b'the item' in written) == (b'the output' in written) == payloads
    again = Ledger(queue_size=5)
    for _, name, arguments in read(path).entries[0]:
        again.replay(name, arguments)
    assert again.snapshot(payloads=False) == ledger.snapshot(payloads=False)
    assert (again.snapshot(payloads=True) == ledger.snapshot(payloads=True)) == payloads


def test_after_a_checkpoint_only_the_new_snapshot_and_later_entries_are_there(journal, path):
    """Changes that were not committed are discarded: the snapshot contains them."""
    journal.checkpoint({'count': 0})
    write(journal, 1, 2)
    journal.append('stage', fact(3))
    journal.checkpoint({'count': 3})
    assert read(path) == Recovered(RUN, {'count': 3}, [])
    write(journal, 4)
    assert numbers_in(read(path)) == [[4]]
    assert list(path.parent.iterdir()) == [path]


def test_the_first_checkpoint_of_the_next_manager_replaces_the_journal(journal, path):
    """In one step: up to then the old journal is complete."""
    journal.checkpoint({'count': 0})
    write(journal, 1)
    path.with_suffix('.new').write_bytes(b'left by a killed manager')
    assert numbers_in(read(path)) == [[1]]
    other = Journal(path, RUN, payloads=False)
    other.checkpoint({'count': 1})
    write(other, 2)
    other.close()
    assert read(path).snapshot == {'count': 1}
    assert numbers_in(read(path)) == [[2]]


def test_compaction_is_needed_when_the_file_is_much_larger_than_its_snapshot(
    journal, path, monkeypatch
):
    """The larger the snapshot, the later; after a checkpoint it is not needed."""
    monkeypatch.setattr(journal_module, 'COMPACT_AFTER', 1000)
    for size in (0, 5000):
        journal.checkpoint({'all': bytes(size)})
        first = path.stat().st_size
        while not journal.needs_compaction:
            assert path.stat().st_size <= 1000 + 4 * first + END_MARK
            write(journal, 1)
        assert path.stat().st_size > 1000 + 4 * (first - HEADERS)


@pytest.mark.parametrize(
    ('data', 'cause'),
    [
        (b'', 'does not begin like a journal'),
        (b'no journal at all, though of some length', 'does not begin like a journal'),
        (bytes(5000), 'does not begin like a journal'),
        (b'worker_pipeline journal %d\n' % (FORMAT + 1), f'found format {FORMAT + 1}; allowed: '),
        (b'worker_pipeline journal %d\n' % (FORMAT - 1), f'found format {FORMAT - 1}; allowed: '),
        (b'worker_pipeline journal x\n', 'does not begin like a journal'),
        (b'worker_pipeline journal %d\n' % FORMAT, 'its checkpoint is damaged'),
        (b'worker_pipeline journal %d\n' % FORMAT + bytes(500), 'its checkpoint is damaged'),
    ],
)
def test_a_file_that_is_no_journal_of_this_version_is_not_read(path, data: bytes, cause: str):
    """It would be misinterpreted. The error says what was found."""
    path.write_bytes(data)
    with pytest.raises(UnreadableJournalError, match=cause):
        read(path)


def test_what_follows_the_end_mark_is_not_used_and_no_entry_is_missing(journal, path):
    """Somebody has appended to the file."""
    journal.checkpoint({})
    write(journal, 1)
    with path.open('ab') as file:
        file.write(b'?!?!')
    recovered = read(path)
    assert numbers_in(recovered) == [[1]]
    assert (recovered.damage, recovered.is_complete) == ('4 bytes follow its end mark', True)


def test_without_a_file_nothing_is_read(path):
    """The first manager finds none."""
    assert read(path) is None


# -- killed --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize('room', [10**9, 100_000], ids=['one file', 'compacted'])
@pytest.mark.parametrize('entries', [1, 2, 5, 23, 80])
def test_a_killed_manager_leaves_all_entries_that_it_had_committed(path, entries: int, room: int):
    """Perhaps one more; each complete and in order."""
    with child(WRITER, path, room) as writer:
        printed = [writer.line() for _ in range(entries)]
        printed += writer.kill()
    recovered = read(path)
    assert recovered.run_id == 5
    count = recovered.snapshot['count']
    assert [[arguments for _, _, arguments in entry] for entry in recovered.entries] == [
        [(number, bytes(number * 7919 % 300_000)), (number,)]
        for number in range(count, count + len(recovered.entries))
    ]
    assert 0 <= count + len(recovered.entries) - (int(printed[-1]) + 1) <= 1
    if room == 10**9:
        assert count == 0
    elif entries == 80:
        assert count > 0


# -- no space ------------------------------------------------------------------------------------


@pytest.mark.parametrize('room', [0, 1, 3, 4, 5, 20, 33])
def test_an_entry_that_runs_out_of_space_leaves_those_before_it(journal, path, disk, room: int):
    """The part that was written is truncated, as others may need the space.

    An entry is missing, so its effects are unknown: the end mark is missing too.
    """
    journal.checkpoint(SNAPSHOT)
    write(journal, 1)
    before = path.read_bytes()[:-END_MARK]
    disk.room = room
    with pytest.raises(OSError, match='No space left'):
        write(journal, 2, 2, 2)
    assert numbers_in(read(path)) == [[1]]
    assert not read(path).is_complete
    assert path.read_bytes() == before


def test_nothing_is_written_after_a_missing_entry_until_the_next_checkpoint(journal, path, disk):
    """The journal asks for one: later entries would be misinterpreted."""
    journal.checkpoint({'count': 0})
    write(journal, 1)
    assert not journal.needs_compaction
    disk.room = 10
    with pytest.raises(OSError, match='No space left'):
        write(journal, 2)
    disk.room = float('inf')
    assert journal.needs_compaction
    write(journal, 3)
    assert numbers_in(read(path)) == [[1]]
    journal.checkpoint({'count': 3})
    assert not journal.needs_compaction
    write(journal, 4)
    assert read(path).snapshot == {'count': 3}
    assert numbers_in(read(path)) == [[4]]


def test_a_checkpoint_that_runs_out_of_space_leaves_the_journal_usable(
    journal, path, disk, monkeypatch
):
    """It leaves no file behind, and is due again after a while."""
    now = [100.0]
    monkeypatch.setattr(journal_module.time, 'monotonic', lambda: now[0])
    monkeypatch.setattr(journal_module, 'COMPACT_AFTER', 10)
    journal.checkpoint({'count': 0})
    while not journal.needs_compaction:
        write(journal, 1)
    before = numbers_in(read(path))
    disk.room = 10
    with pytest.raises(OSError, match='No space left'):
        journal.checkpoint({'count': 1})
    disk.room = float('inf')
    assert list(path.parent.iterdir()) == [path]
    assert not journal.needs_compaction
    write(journal, 2)
    assert numbers_in(read(path)) == [*before, [2]]
    now[0] += journal_module.RETRY_INTERVAL
    assert journal.needs_compaction


def test_without_its_folder_checkpoint_and_commit_raise(tmp_path):
    """Someone has deleted it."""
    journal = Journal(tmp_path / 'none' / 'journal', RUN, payloads=True)
    with pytest.raises(FileNotFoundError):
        journal.checkpoint({})
    with pytest.raises(OSError, match='Bad file descriptor'):
        write(journal, 1)
    journal.close()


@pytest.mark.slow
@pytest.mark.parametrize('checkpoint', ['', 'checkpoint'])
def test_a_size_limit_of_the_kernel_is_one_error_and_the_journal_stays_readable(
    path, checkpoint: str
):
    """The kernel writes as much of the last entry as fits."""
    with child(ON_A_FULL_DISK, path, checkpoint) as writer:
        lines = writer.rest()
    number, error, needs_compaction = lines[0].split()
    assert len(lines) == 1
    assert (int(error), needs_compaction) == (errno.EFBIG, 'True')
    if checkpoint:
        assert read(path).snapshot == {'count': 100}
        assert numbers_in(read(path)) == [[100], [101], [102]]
    else:
        assert numbers_in(read(path)) == [[each] for each in range(int(number))]
        assert int(number) > 10


def test_closing_twice_closes_once(journal):
    """A descriptor of the same number that was opened in between stays open."""
    journal.checkpoint({})
    journal.close()
    read_end, write_end = os.pipe()
    journal.close()
    for descriptor in (read_end, write_end):
        with contextlib.closing(os.fdopen(descriptor)):
            assert os.fstat(descriptor)
