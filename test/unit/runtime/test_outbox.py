"""What is done when an event is written down, and in which order."""

from __future__ import annotations

import os
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.journaling import RUN, Disk, numbers_in

from worker_pipeline.runtime import journal as journal_module
from worker_pipeline.runtime.journal import Journal, Recovered, read
from worker_pipeline.runtime.outbox import Outbox


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
