"""The journal, and what is done when it is written."""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import stat
import struct
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.children import child

from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Ledger
from worker_pipeline.runtime import journal as journal_module
from worker_pipeline.runtime.journal import FORMAT, Journal, Outbox, Recovered, read

RUN = 2**63 - 1
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


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'journal'


@pytest.fixture
def journal(path):
    found = Journal(path, RUN, payloads=True)
    yield found
    found.close()


class Disk:
    """Stands in for os.write: takes ``room`` bytes, and then no more."""

    def __init__(self) -> None:
        self.room = float('inf')
        self._write = os.write

    def __call__(self, file: int, data) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(file, bytes(data)[: int(min(self.room, len(data)))])
        self.room -= written
        return written


@pytest.fixture
def disk(monkeypatch):
    found = Disk()
    monkeypatch.setattr(os, 'write', found)
    return found


def write(journal: Journal, *numbers: int) -> None:
    """One entry of several facts."""
    for number in numbers:
        journal.note('stage', 'fact', number)
    journal.commit()


def numbers_in(recovered: Recovered | None) -> list[list[int]]:
    assert recovered is not None
    return [[arguments[0] for _, _, arguments in entry] for entry in recovered.entries]


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


ROOMS = st.one_of(st.just(float('inf')), st.integers(0, 120))


@given(events=st.lists(st.tuples(st.integers(1, 3), ROOMS), max_size=25), grow=st.booleans())
def test_whatever_the_disk_does_a_true_past_is_read(events, grow: bool, tmp_path_factory):
    """The beginning of what happened, without a gap; all of it, where the last event had room."""
    path = tmp_path_factory.mktemp('disk') / 'journal'
    journal = Journal(path, RUN, payloads=True)
    facts: list[int] = []
    told: list[str] = []
    outbox = Outbox(journal, told.append)
    outbox.snapshot = lambda: {'facts': list(facts)}
    disk = Disk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, 'write', disk)
        patch.setattr(journal_module, 'AGAIN', 0.0)
        patch.setattr(journal_module, 'ROOM', 40 if grow else 10**6)
        journal.begin({'facts': []})
        for count, room in events:
            disk.room = room
            told_before = len(told)
            with outbox:
                for _ in range(count):
                    facts.append(len(facts))
                    journal.note('stage', 'fact', facts[-1])
            recovered = read(path)
            known = [*recovered.snapshot['facts'], *chain.from_iterable(numbers_in(recovered))]
            assert known == facts[: len(known)]
            assert len(known) == len(facts) or len(told) > told_before
    journal.close()
    assert list(path.parent.iterdir()) == [path]


# -- what is done afterwards ---------------------------------------------------------------------


class Told(list):
    """What was complained of."""

    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def outbox(journal, told):
    journal.begin({})
    return Outbox(journal, told)


def test_effects_come_after_their_entry_is_written(outbox, journal, path, told):
    """In the order in which they were asked for."""
    seen = []
    with outbox:
        journal.note('stage', 'fact', 1)
        outbox.do(lambda *arguments: seen.append((arguments, numbers_in(read(path)))), 'a', 'b')
        outbox.do(lambda: seen.append('second'))
        journal.note('stage', 'fact', 2)
        assert seen == []
        assert numbers_in(read(path)) == []
    assert seen == [(('a', 'b'), [[1, 2]]), 'second']
    assert told == []


def test_what_is_done_inside_an_event_belongs_to_it(outbox, journal, path):
    """One entry, and no effect before the whole is over."""
    seen = []
    with outbox:
        journal.note('stage', 'fact', 1)
        with outbox:
            journal.note('stage', 'fact', 2)
            outbox.do(seen.append, 'inner')
        assert seen == []
        assert numbers_in(read(path)) == []
        with outbox:
            journal.note('stage', 'fact', 3)
    assert numbers_in(read(path)) == [[1, 2, 3]]
    assert seen == ['inner']
    with outbox:
        pass
    assert seen == ['inner']


def test_an_event_that_an_effect_leads_to_is_another_one(outbox, journal, path):
    """It is written before its own effects; the other effects of the first still come."""
    seen = []

    def effect():
        with outbox:
            journal.note('stage', 'fact', 2)
            outbox.do(lambda: seen.append(numbers_in(read(path))))

    with outbox:
        journal.note('stage', 'fact', 1)
        outbox.do(effect)
        outbox.do(seen.append, 'last')
    assert seen == [[[1], [2]], 'last']


def test_what_workers_wait_for_leaves_first(outbox, journal, path):
    """Then comes what follows, each once and all as one event; then the rest."""
    seen = []
    outbox.ship = lambda: seen.append('shipped')

    def second():
        with outbox:
            journal.note('stage', 'fact', 2)
            outbox.do(seen.append, 'effect of the second')
            outbox.do_last(lambda: seen.append(numbers_in(read(path))))
            outbox.follow(third)

    def third():
        with outbox:
            journal.note('stage', 'fact', 3)

    with outbox:
        outbox.do_last(seen.append, 'for others')
        outbox.follow(second)
        journal.note('stage', 'fact', 1)
        outbox.do(seen.append, 'effect')
        outbox.follow(second)
        assert seen == []
    assert seen == [
        *('effect', 'shipped', 'effect of the second', 'shipped', 'for others'),
        [[1], [2, 3]],
    ]


def test_where_nothing_leaves_what_follows_is_the_same_event(outbox, journal, path):
    """Nobody waits, so one entry is enough."""
    seen = []

    def follow():
        with outbox:
            journal.note('stage', 'fact', 2)
            outbox.do(lambda: seen.append(numbers_in(read(path))))

    with outbox:
        journal.note('stage', 'fact', 1)
        outbox.follow(follow)
    assert seen == [[[1, 2]]]


def test_what_follows_from_what_is_done_last_is_done_too(outbox, journal, path):
    """Nothing waits for the next event."""
    seen = []

    def tell():
        with outbox:
            journal.note('stage', 'fact', 1)
            outbox.do(seen.append, 'effect')
            outbox.follow(lambda: seen.append('followed'))

    with outbox:
        outbox.do_last(tell)
    assert seen == ['effect', 'followed']
    assert numbers_in(read(path)) == [[1]]


def test_what_raises_stops_none_of_the_others(outbox, told):
    """It is told with its traceback."""
    seen = []

    def follow():
        raise ValueError('no event')

    with outbox:
        outbox.follow(follow)
        outbox.do_last(int, 'no last number')
        outbox.do_last(seen.append, 'last')
        outbox.do(seen.append, 'first')
        outbox.do(int, 'no number')
        outbox.do(seen.append, 'second')
    assert seen == ['first', 'second', 'last']
    assert all(each.startswith('internal error:\nTraceback') for each in told)
    whats = ['no number', 'no event', 'no last number']
    assert [what in text for what, text in zip(whats, told, strict=True)] == [True] * 3
    with outbox:
        outbox.follow(lambda: seen.append('once more'))
    assert seen[-1] == 'once more'


def test_all_is_settled_when_everything_is_done(outbox):
    """Once."""
    seen = []
    outbox.settle = lambda: seen.append('settled')

    def follow():
        with outbox:
            outbox.do(seen.append, 'effect')

    with outbox:
        outbox.follow(follow)
        outbox.do_last(seen.append, 'last')
    assert seen == ['effect', 'last', 'settled']


def test_an_event_that_raises_is_written_as_far_as_it_came(outbox, journal, path):
    """The ledgers are changed, so the journal is; and the next event is one of its own."""
    seen = []

    def broken_off():
        with outbox:
            journal.note('stage', 'fact', 1)
            outbox.do(seen.append, 'effect')
            raise RuntimeError('in the middle')

    with pytest.raises(RuntimeError, match='in the middle'):
        broken_off()
    with outbox:
        journal.note('stage', 'fact', 2)
    assert numbers_in(read(path)) == [[1], [2]]
    assert seen == ['effect']


def test_effects_come_also_where_the_journal_cannot_be_written(outbox, journal, path, told, disk):
    """That is told; and as soon as it can be, it has everything again."""
    seen = []
    outbox.snapshot = lambda: {'count': 'all'}
    disk.room = 5
    with outbox:
        journal.note('stage', 'fact', 1)
        outbox.do(seen.append, 'effect')
    assert seen == ['effect']
    text = (
        'the journal cannot be written: [Errno 28] No space left on device; '
        'a crash now may lose items'
    )
    assert set(told) == {text}
    told.clear()
    disk.room = float('inf')
    journal._not_before = 0.0
    with outbox:
        journal.note('stage', 'fact', 2)
    assert read(path) == Recovered(RUN, {'count': 'all'}, [])
    assert told == []


def test_it_begins_anew_after_the_effects(outbox, journal, path, monkeypatch):
    """They may change what the snapshot tells; it is taken once."""
    monkeypatch.setattr(journal_module, 'ROOM', -(10**6))
    journal.begin({'first': True})
    order = []
    outbox.snapshot = lambda: order.append('snapshot') or {'count': len(order)}
    with outbox:
        journal.note('stage', 'fact', 1)
        outbox.do(lambda: order.append(numbers_in(read(path))))
    assert order == [[[1]], 'snapshot']
    assert read(path) == Recovered(RUN, {'count': 2}, [])


def test_a_snapshot_without_room_is_told_and_nothing_else_happens(outbox, journal, told, disk):
    """The event was written, its effects are done."""
    journal._enough = -1
    outbox.snapshot = lambda: {'all': bytes(1000)}
    seen = []
    disk.room = 500
    with outbox:
        journal.note('stage', 'fact', 1)
        outbox.do(seen.append, 'effect')
    assert seen == ['effect']
    assert len(told) == 1
    assert 'the journal cannot be written' in told[0]


def test_closing_twice_is_closing(journal):
    """And a descriptor that somebody else got meanwhile stays open."""
    journal.begin({})
    journal.close()
    read_end, write_end = os.pipe()
    journal.close()
    for descriptor in (read_end, write_end):
        with contextlib.closing(os.fdopen(descriptor)):
            assert os.fstat(descriptor)
