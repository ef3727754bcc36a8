# SPDX-License-Identifier: Apache-2.0
"""Effects come after their event is committed, in a fixed order."""

from __future__ import annotations

import os
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.journal import RUN, Disk, fact, numbers_in

from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.recovery import journal as journal_module
from worker_pipeline.recovery.journal import Journal, Recovered, read


class Errors(list):
    """The errors reported so far."""

    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def errors():
    return Errors()


@pytest.fixture
def outbox(journal, errors):
    journal.checkpoint({})
    return Outbox(journal, errors)


def test_effects_follow_the_commit(outbox, journal, path, errors):
    """In the order in which they were scheduled."""
    seen = []
    with outbox:
        journal.append('stage', fact(1))
        outbox.after_commit(
            lambda *arguments: seen.append((arguments, numbers_in(read(path)))), 'a', 'b'
        )
        outbox.after_commit(lambda: seen.append('second'))
        journal.append('stage', fact(2))
        assert seen == []
        assert numbers_in(read(path)) == []
    assert seen == [(('a', 'b'), [[1, 2]]), 'second']
    assert errors == []


def test_decisions_are_collected_once_before_the_commit(outbox, journal, path):
    """What they lead to belongs to the same event."""
    seen = []

    def collect():
        seen.append(numbers_in(read(path)))
        journal.append('stage', fact(2))
        outbox.after_commit(lambda: seen.append(numbers_in(read(path))))

    outbox.collect = collect
    with outbox:
        journal.append('stage', fact(1))
        with outbox:
            pass
        assert seen == []
    assert seen == [[], [[1, 2]]]


def test_the_decisions_of_a_follow_up_are_collected_with_it(outbox):
    collected = []
    outbox.collect = lambda: collected.append(None)
    with outbox:
        outbox.then(lambda: None)
    assert len(collected) == 2


def test_a_nested_event_belongs_to_the_outer_one(outbox, journal, path):
    """One journal entry, and no effect before the outer event ends."""
    seen = []
    with outbox:
        journal.append('stage', fact(1))
        with outbox:
            journal.append('stage', fact(2))
            outbox.after_commit(seen.append, 'inner')
        assert seen == []
        assert numbers_in(read(path)) == []
        with outbox:
            journal.append('stage', fact(3))
    assert numbers_in(read(path)) == [[1, 2, 3]]
    assert seen == ['inner']
    with outbox:
        pass
    assert seen == ['inner']


def test_an_event_inside_an_effect_is_an_event_of_its_own(outbox, journal, path):
    """It is committed before its own effects; the remaining effects of the first still come."""
    seen = []

    def effect():
        with outbox:
            journal.append('stage', fact(2))
            outbox.after_commit(lambda: seen.append(numbers_in(read(path))))

    with outbox:
        journal.append('stage', fact(1))
        outbox.after_commit(effect)
        outbox.after_commit(seen.append, 'last')
    assert seen == [[[1], [2]], 'last']


def test_workers_come_first_then_follow_ups_then_external_subscribers(outbox, journal, path):
    """All follow-ups are one event, and each runs once."""
    seen = []
    outbox.on_dispatched = lambda: seen.append('dispatched')

    def second():
        with outbox:
            journal.append('stage', fact(2))
            outbox.after_commit(seen.append, 'effect of the second')
            outbox.after_dispatch(lambda: seen.append(numbers_in(read(path))))
            outbox.then(third)

    def third():
        with outbox:
            journal.append('stage', fact(3))

    with outbox:
        outbox.after_dispatch(seen.append, 'for subscribers')
        outbox.then(second)
        journal.append('stage', fact(1))
        outbox.after_commit(seen.append, 'effect')
        outbox.then(second)
        assert seen == []
    assert seen == [
        *('effect', 'dispatched', 'effect of the second', 'dispatched', 'for subscribers'),
        [[1], [2, 3]],
    ]


def test_without_effects_follow_ups_share_the_journal_entry(outbox, journal, path):
    """Nobody waits for a commit in between."""
    seen = []

    def follow_up():
        with outbox:
            journal.append('stage', fact(2))
            outbox.after_commit(lambda: seen.append(numbers_in(read(path))))

    with outbox:
        journal.append('stage', fact(1))
        outbox.then(follow_up)
    assert seen == [[[1, 2]]]


def test_follow_ups_of_late_effects_run_too(outbox, journal, path):
    """They do not wait for the next event."""
    seen = []

    def late_effect():
        with outbox:
            journal.append('stage', fact(1))
            outbox.after_commit(seen.append, 'effect')
            outbox.then(lambda: seen.append('followed'))

    with outbox:
        outbox.after_dispatch(late_effect)
    assert seen == ['effect', 'followed']
    assert numbers_in(read(path)) == [[1]]


def test_an_exception_stops_no_other_effect(outbox, errors):
    """It is reported with its traceback."""
    seen = []

    def follow_up():
        raise ValueError('no event')

    with outbox:
        outbox.then(follow_up)
        outbox.after_dispatch(int, 'no last number')
        outbox.after_dispatch(seen.append, 'last')
        outbox.after_commit(seen.append, 'first')
        outbox.after_commit(int, 'no number')
        outbox.after_commit(seen.append, 'second')
    assert seen == ['first', 'second', 'last']
    assert all(each.startswith('internal error:\nTraceback') for each in errors)
    labels = ['no number', 'no event', 'no last number']
    assert [label in text for label, text in zip(labels, errors, strict=True)] == [True] * 3
    with outbox:
        outbox.then(lambda: seen.append('once more'))
    assert seen[-1] == 'once more'


def test_on_settled_is_called_once_after_all_effects(outbox):
    """And after all follow-ups."""
    seen = []
    outbox.on_settled = lambda: seen.append('settled')

    def follow_up():
        with outbox:
            outbox.after_commit(seen.append, 'effect')

    with outbox:
        outbox.then(follow_up)
        outbox.after_dispatch(seen.append, 'last')
    assert seen == ['effect', 'last', 'settled']


def test_an_event_that_raises_is_committed_as_far_as_it_got(outbox, journal, path):
    """The ledgers have changed, so the journal must too; the next event is separate."""
    seen = []

    def broken_off():
        with outbox:
            journal.append('stage', fact(1))
            outbox.after_commit(seen.append, 'effect')
            raise RuntimeError('in the middle')

    with pytest.raises(RuntimeError, match='in the middle'):
        broken_off()
    with outbox:
        journal.append('stage', fact(2))
    assert numbers_in(read(path)) == [[1], [2]]
    assert seen == ['effect']


def test_effects_come_even_if_the_journal_cannot_be_written(outbox, journal, path, errors, disk):
    """The error is reported; as soon as writing succeeds the journal is complete again."""
    seen = []
    outbox.snapshot = lambda: {'count': 'all'}
    disk.room = 5
    with outbox:
        journal.append('stage', fact(1))
        outbox.after_commit(seen.append, 'effect')
    assert seen == ['effect']
    text = (
        'the journal cannot be written: [Errno 28] No space left on device; '
        'a crash now may lose items'
    )
    assert set(errors) == {text}
    errors.clear()
    disk.room = float('inf')
    journal._retry_at = 0.0
    with outbox:
        journal.append('stage', fact(2))
    assert read(path) == Recovered(RUN, {'count': 'all'}, [])
    assert errors == []


def test_the_journal_is_compacted_after_the_effects(outbox, journal, path, monkeypatch):
    """The effects may change what the snapshot contains; it is taken once."""
    monkeypatch.setattr(journal_module, 'COMPACT_AFTER', -(10**6))
    journal.checkpoint({'first': True})
    order = []
    outbox.snapshot = lambda: order.append('snapshot') or {'count': len(order)}
    with outbox:
        journal.append('stage', fact(1))
        outbox.after_commit(lambda: order.append(numbers_in(read(path))))
    assert order == [[[1]], 'snapshot']
    assert read(path) == Recovered(RUN, {'count': 2}, [])


def test_a_snapshot_that_does_not_fit_on_the_disk_is_reported(outbox, journal, errors, disk):
    """The event is committed and its effects have come."""
    journal._compact_at = -1
    outbox.snapshot = lambda: {'all': bytes(1000)}
    seen = []
    disk.room = 500
    with outbox:
        journal.append('stage', fact(1))
        outbox.after_commit(seen.append, 'effect')
    assert seen == ['effect']
    assert len(errors) == 1
    assert 'the journal cannot be written' in errors[0]


ROOMS = st.one_of(st.just(float('inf')), st.integers(0, 120))


@given(events=st.lists(st.tuples(st.integers(1, 3), ROOMS), max_size=25), grow=st.booleans())
def test_whatever_the_disk_does_the_journal_holds_a_true_past(events, grow: bool, tmp_path_factory):
    """A prefix of all events without a gap; all of them if the last one could be written."""
    path = tmp_path_factory.mktemp('disk') / 'journal'
    journal = Journal(path, RUN, payloads=True)
    facts: list[int] = []
    errors: list[str] = []
    outbox = Outbox(journal, errors.append)
    outbox.snapshot = lambda: {'facts': list(facts)}
    disk = Disk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, 'pwrite', disk)
        patch.setattr(journal_module, 'RETRY_INTERVAL', 0.0)
        patch.setattr(journal_module, 'COMPACT_AFTER', 40 if grow else 10**6)
        journal.checkpoint({'facts': []})
        for count, room in events:
            disk.room = room
            errors_before = len(errors)
            with outbox:
                for _ in range(count):
                    facts.append(len(facts))
                    journal.append('stage', fact(facts[-1]))
            recovered = read(path)
            known = [*recovered.snapshot['facts'], *chain.from_iterable(numbers_in(recovered))]
            assert known == facts[: len(known)]
            assert len(known) == len(facts) or len(errors) > errors_before
    journal.close()
    assert list(path.parent.iterdir()) == [path]
