"""The journal: what is written is read, and never a past that was not."""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import stat
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.children import child
from support.journaling import RUN, numbers_in

from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Ledger
from worker_pipeline.runtime import journal as journal_module
from worker_pipeline.runtime.journal import FORMAT, Journal, Recovered, read

SNAPSHOT = {'stage': {'items': [(1, 'input', b'\x00\xff', 1.5)], 'known': None}}

WRITER = """
import sys
from pathlib import Path
from worker_pipeline.runtime import journal

journal.ROOM = int(sys.argv[2])
writer = journal.Journal(Path(sys.argv[1]), 5, payloads=True)
writer.begin({'count': 0})
for number in range(1_000_000):
    writer.note('stage', 'fact', number, bytes(number * 7919 % 300_000))
    writer.note('stage', 'end', number)
    writer.commit()
    print(number, flush=True)
    if writer.grown:
        writer.begin({'count': number + 1})
"""

ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from worker_pipeline.runtime.journal import Journal

journal = Journal(Path(sys.argv[1]), 5, payloads=True)
journal.begin({})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for number in range(100):
    journal.note('stage', 'fact', number)
    try:
        journal.commit()
    except OSError as error:
        print(number, error.errno, journal.grown)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
if sys.argv[2]:
    journal.begin({'count': 100})
for number in range(100, 103):
    journal.note('stage', 'fact', number)
    journal.commit()
"""


def write(journal: Journal, *numbers: int) -> None:
    """One entry of several facts."""
    for number in numbers:
        journal.note('stage', 'fact', number)
    journal.commit()


# -- the file ------------------------------------------------------------------------------------


def test_what_was_written_is_read(journal, path):
    """The snapshot and the entries, in order, each as it was."""
    journal.begin(SNAPSHOT)
    journal.recorder('one')('assign', ('worker_0', True))
    journal.recorder('two')('accept', ('input', 2**62, b'\x00bytes', 1.25))
    journal.note('one', 'source', {'epoch': 7})
    journal.commit()
    journal.recorder('one')('complete', ('worker_0', 1, (b'output',)))
    journal.commit()
    assert read(path) == Recovered(
        RUN,
        SNAPSHOT,
        [
            [
                ('one', 'assign', ('worker_0', True)),
                ('two', 'accept', ('input', 2**62, b'\x00bytes', 1.25)),
                ('one', 'source', ({'epoch': 7},)),
            ],
            [('one', 'complete', ('worker_0', 1, (b'output',)))],
        ],
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_not_committed_is_not_written(journal, path):
    """And an event without changes is no entry."""
    journal.begin({})
    size = path.stat().st_size
    journal.commit()
    journal.note('stage', 'fact', 1)
    assert path.stat().st_size == size
    assert read(path).entries == []


@pytest.mark.parametrize('payloads', [True, False])
def test_a_journal_without_payloads_tells_who_holds_what(path, payloads: bool):
    """The items themselves are not in it, all the rest is."""
    journal = Journal(path, RUN, payloads=payloads)
    journal.begin({})
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


@given(facts=st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=3), max_size=4))
def test_a_file_cut_anywhere_has_the_entries_before_the_cut(facts, tmp_path_factory):
    """All of them, whole, and nothing else; with its snapshot cut it is none."""
    path = tmp_path_factory.mktemp('cut') / 'journal'
    journal = Journal(path, RUN, payloads=True)
    journal.begin(SNAPSHOT)
    ends = [path.stat().st_size]
    for entry in facts:
        for fact in entry:
            journal.note('stage', 'fact', fact)
        journal.commit()
        ends.append(path.stat().st_size)
    journal.close()
    for cut in range(ends[-1], -1, -1):
        os.truncate(path, cut)
        if cut < ends[0]:
            assert read(path) is None
        else:
            whole = sum(end <= cut for end in ends[1:])
            assert read(path) == Recovered(
                RUN,
                SNAPSHOT,
                [[('stage', 'fact', (fact,)) for fact in entry] for entry in facts[:whole]],
            )


def test_begun_anew_it_has_the_new_snapshot_and_what_follows(journal, path):
    """Also nothing of what was recorded and not committed: that is in the snapshot."""
    journal.begin({'count': 0})
    write(journal, 1, 2)
    journal.note('stage', 'fact', 3)
    journal.begin({'count': 3})
    assert read(path) == Recovered(RUN, {'count': 3}, [])
    write(journal, 4)
    assert numbers_in(read(path)) == [[4]]
    assert list(path.parent.iterdir()) == [path]


def test_a_journal_begun_by_the_next_manager_takes_the_place_of_the_old(journal, path):
    """At one moment: up to then the old one is whole."""
    journal.begin({'count': 0})
    write(journal, 1)
    path.with_suffix('.new').write_bytes(b'left by a manager that was killed while it began')
    assert numbers_in(read(path)) == [[1]]
    other = Journal(path, RUN, payloads=False)
    other.begin({'count': 1})
    write(other, 2)
    other.close()
    assert read(path).snapshot == {'count': 1}
    assert numbers_in(read(path)) == [[2]]


def test_it_has_grown_when_it_holds_much_more_than_its_snapshot(journal, path, monkeypatch):
    """The larger that is, the later; begun anew it has not."""
    monkeypatch.setattr(journal_module, 'ROOM', 1000)
    for size in (0, 5000):
        journal.begin({'all': bytes(size)})
        begun = path.stat().st_size
        while not journal.grown:
            assert path.stat().st_size <= 1000 + 4 * begun
            write(journal, 1)
        assert path.stat().st_size > 1000 + 4 * begun - 4


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'\x00\x00',
        b'no journal at all, though of some length',
        struct.pack('<I', 0),
        *(
            struct.pack('<I', len(each)) + each
            for each in (
                marshal.dumps((FORMAT + 1, RUN, {})),
                marshal.dumps((FORMAT - 1, RUN, {})),
                marshal.dumps([FORMAT, RUN, {}]),
                b'not marshalled',
            )
        ),
    ],
)
def test_what_is_no_journal_of_this_version_is_not_read(path, data: bytes):
    """It would be taken for something else."""
    path.write_bytes(data)
    assert read(path) is None


def test_a_journal_with_an_entry_that_makes_no_sense_is_not_read(journal, path):
    """Whatever is behind it would be read without it."""
    journal.begin({})
    write(journal, 1)
    with path.open('ab') as file:
        file.write(struct.pack('<I', 4) + b'?!?!')
    assert read(path) is None


def test_where_there_is_no_journal_none_is_read(path):
    """It is the first manager."""
    assert read(path) is None


# -- killed --------------------------------------------------------------------------------------


@pytest.mark.parametrize('room', [10**9, 100_000], ids=['one file', 'begun anew'])
@pytest.mark.parametrize('entries', [1, 2, 5, 23, 80])
def test_a_killed_manager_leaves_all_that_it_had_written(path, entries: int, room: int):
    """Every acknowledged entry, perhaps one more, each whole and in order."""
    with child(WRITER, path, room) as writer:
        told = [writer.line() for _ in range(entries)]
        told += writer.kill()
    recovered = read(path)
    assert recovered.run == 5
    count = recovered.snapshot['count']
    assert [[arguments for _, _, arguments in entry] for entry in recovered.entries] == [
        [(number, bytes(number * 7919 % 300_000)), (number,)]
        for number in range(count, count + len(recovered.entries))
    ]
    assert 0 <= count + len(recovered.entries) - (int(told[-1]) + 1) <= 1
    if room == 10**9:
        assert count == 0
    elif entries == 80:
        assert count > 0


# -- no room -------------------------------------------------------------------------------------


@pytest.mark.parametrize('room', [0, 1, 3, 4, 5, 20, 33])
def test_an_entry_without_room_leaves_those_before_it(journal, path, disk, room: int):
    """However much of it was written: that is taken away, as others may have use for the room."""
    journal.begin(SNAPSHOT)
    write(journal, 1)
    before = path.read_bytes()
    disk.room = room
    with pytest.raises(OSError, match='No space left'):
        write(journal, 2, 2, 2)
    assert numbers_in(read(path)) == [[1]]
    assert path.read_bytes() == before


def test_nothing_follows_an_entry_that_is_missing(journal, path, disk):
    """Until it is begun anew, which it asks for: read without it the rest would mean another."""
    journal.begin({'count': 0})
    write(journal, 1)
    assert not journal.grown
    disk.room = 10
    with pytest.raises(OSError, match='No space left'):
        write(journal, 2)
    disk.room = float('inf')
    assert journal.grown
    write(journal, 3)
    assert numbers_in(read(path)) == [[1]]
    journal.begin({'count': 3})
    assert not journal.grown
    write(journal, 4)
    assert read(path).snapshot == {'count': 3}
    assert numbers_in(read(path)) == [[4]]


def test_a_snapshot_without_room_leaves_the_journal_as_it_was(journal, path, disk, monkeypatch):
    """It takes no room from others, goes on, and is tried again after a while."""
    now = [100.0]
    monkeypatch.setattr(journal_module.time, 'monotonic', lambda: now[0])
    monkeypatch.setattr(journal_module, 'ROOM', 10)
    journal.begin({'count': 0})
    while not journal.grown:
        write(journal, 1)
    before = numbers_in(read(path))
    disk.room = 10
    with pytest.raises(OSError, match='No space left'):
        journal.begin({'count': 1})
    disk.room = float('inf')
    assert list(path.parent.iterdir()) == [path]
    assert not journal.grown
    write(journal, 2)
    assert numbers_in(read(path)) == [*before, [2]]
    now[0] += journal_module.AGAIN
    assert journal.grown


def test_a_journal_that_cannot_be_begun_is_an_error(tmp_path):
    """Its folder is gone; later entries are errors as well, and what is told once is enough."""
    journal = Journal(tmp_path / 'none' / 'journal', RUN, payloads=True)
    with pytest.raises(FileNotFoundError):
        journal.begin({})
    with pytest.raises(OSError, match='Bad file descriptor'):
        write(journal, 1)
    journal.close()


@pytest.mark.parametrize('anew', ['', 'anew'])
def test_a_real_limit_of_size_is_one_error_and_a_journal_that_can_be_read(path, anew: str):
    """As the kernel does it: what still fits is written of the last entry."""
    with child(ON_A_FULL_DISK, path, anew) as writer:
        lines = writer.rest()
    number, error, grown = lines[0].split()
    assert len(lines) == 1
    assert (int(error), grown) == (errno.EFBIG, 'True')
    if anew:
        assert read(path).snapshot == {'count': 100}
        assert numbers_in(read(path)) == [[100], [101], [102]]
    else:
        assert numbers_in(read(path)) == [[each] for each in range(int(number))]
        assert int(number) > 10


def test_closing_twice_is_closing(journal):
    """And a descriptor that somebody else got meanwhile stays open."""
    journal.begin({})
    journal.close()
    read_end, write_end = os.pipe()
    journal.close()
    for descriptor in (read_end, write_end):
        with contextlib.closing(os.fdopen(descriptor)):
            assert os.fstat(descriptor)
