"""The book of one stage, case by case. Random histories are in test_ledger_properties."""

from __future__ import annotations

import copy
import marshal
from typing import Any

import pytest

from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.ledger import (
    NOTHING,
    Acceptance,
    Counters,
    Delivered,
    Ledger,
    Overflow,
    Settled,
)

Calls = list[tuple[str, tuple[Any, ...]]]
RULES: dict[str, Any] = {
    'queue_size': 100,
    'overflow': Overflow.DROP_OLDEST,
    'max_attempts': 2,
    'ordered': True,
}
# Where an item may be, and how it may have ended.
PHASES = ('waiting', 'in work', 'returned', 'completed', 'flushed', 'pushed out', 'dropped')
PHASES += ('quarantined', 'retracted', 'refused')


def key(stamp: int, source: str = 'camera') -> ItemKey:
    return ItemKey(source, stamp)


def book(items: int = 0, **settings) -> Ledger:
    """A ledger with room for 100 items, and items waiting: 1, stamped 10; 2, stamped 20; ..."""
    ledger = Ledger(**{'queue_size': 100, **settings})
    for number in range(1, items + 1):
        accept(ledger, 10 * number)
    return ledger


def recorded_book(items: int = 0, **settings) -> tuple[Ledger, Calls]:
    """The same, and the list of what it records from then on."""
    calls: Calls = []
    ledger = book(items, record=lambda name, arguments: calls.append((name, arguments)), **settings)
    calls.clear()
    return ledger, calls


def accept(ledger: Ledger, stamp: int, source: str = 'camera', now: float = 0.0) -> Acceptance:
    return ledger.accept(key(stamp, source), f'{source}@{stamp}', now)[0]


def assign(ledger: Ledger, worker: str, count: int = 1) -> list[int]:
    """Give a worker some items; their numbers."""
    return [item.number for item in assigned(ledger, worker, count)]


def assigned(ledger: Ledger, worker: str, count: int = 1) -> list[Item]:
    items = [ledger.assign(worker) for _ in range(count)]
    return [item for item in items if item is not None]


def complete(ledger: Ledger, worker: str, number: int) -> list[str]:
    """A worker answers with one output; what leaves the stage on that."""
    settled = ledger.complete(worker, number, [f'out {number}'])
    assert settled.quarantined == []
    return outputs(settled)


def outputs(settled: Settled) -> list[str]:
    return [each.payload for each in settled.delivered]


def made_anew(ledger: Ledger, *, payloads: bool) -> Ledger:
    """A ledger made of what another one's snapshot tells, as it comes back from a file."""
    anew = Ledger(queue_size=1)
    anew.restore(marshal.loads(marshal.dumps(ledger.snapshot(payloads=payloads))))
    return anew


# -- in ------------------------------------------------------------------------------------------


def test_a_new_ledger_is_empty():
    """Nothing waits, nothing is in work, nothing was counted."""
    ledger = book()
    assert ledger.empty
    assert (ledger.waiting, ledger.in_flight, ledger.withheld, ledger.outstanding) == (0, 0, 0, 0)
    assert ledger.workers == []
    assert all(getattr(ledger.counters, name) == 0 for name in ledger.counters.__slots__)


def test_an_accepted_item_waits():
    """It is in the queue, known, and counted."""
    ledger = book()
    assert ledger.accept(key(7), b'bytes', 1.5) == (Acceptance.ACCEPTED, None)
    assert ledger.waiting == 1
    assert ledger.knows(key(7))
    assert ledger.counters.accepted == 1
    assert not ledger.empty


def test_it_is_known_when_all_up_to_an_item_have_left():
    """Waiting, in work, to be given out again, or withheld: it is here."""
    ledger = book(3)
    assert ledger.last_number == 3
    assert ledger.have_left(0)
    assert not ledger.have_left(1)
    assigned(ledger, 'a', 2)
    complete(ledger, 'a', 2)
    assert not ledger.have_left(2)
    assert ledger.unfinished == 3  # the second is withheld
    ledger.release('a', 'died')
    assert not ledger.have_left(1)
    assigned(ledger, 'b', 1)
    complete(ledger, 'b', 1)
    assert ledger.have_left(2)
    assert not ledger.have_left(3)
    accept(ledger, 40)
    assert ledger.flush() == 2
    assert ledger.have_left(ledger.last_number)
    assert ledger.last_number == 4
    assert ledger.unfinished == 0


def test_an_item_keeps_its_payload_and_the_time_it_was_accepted():
    """What is given to the worker, and delivered, is what came in."""
    ledger = book()
    ledger.accept(key(7), b'bytes', 1.5)
    (item,) = assigned(ledger, 'a')
    assert (item.number, item.key, item.payload, item.accepted_at) == (1, key(7), b'bytes', 1.5)
    assert (item.attempts, item.blamed_for) == (0, ())
    assert ledger.complete('a', 1, ['out']).delivered == [Delivered(key(7), 'out', 1.5)]


def test_numbers_count_what_was_accepted():
    """From one; what is refused, or came before, gets none."""
    ledger = book(2, queue_size=2, overflow=Overflow.BLOCK)
    assert accept(ledger, 10) is Acceptance.DUPLICATE
    assert accept(ledger, 30) is Acceptance.REFUSED
    assert assign(ledger, 'a', 2) == [1, 2]
    accept(ledger, 40)
    assert assign(ledger, 'a') == [3]


@pytest.mark.parametrize('phase', PHASES)
def test_an_item_that_comes_twice_is_a_duplicate_wherever_it_is(phase: str):
    """The same stamp on the same input is counted, and never booked again."""
    ledger = book(1, max_attempts=1, queue_size=1)
    if phase == 'flushed':
        ledger.flush()
    elif phase == 'pushed out':
        accept(ledger, 20)
    elif phase != 'waiting':
        assign(ledger, 'a')
    if phase in ('returned', 'dropped'):
        ledger.give_back('a', 1)
    if phase == 'dropped':
        ledger.drop([1])
    if phase == 'completed':
        complete(ledger, 'a', 1)
    if phase == 'quarantined':
        ledger.fail('a', 1, 'boom')
    if phase == 'retracted':
        ledger.retract('a', 1)
    if phase == 'refused':
        ledger.refuse('a', 1)
    before = (ledger.waiting, ledger.in_flight, ledger.counters.accepted)
    assert accept(ledger, 10) is Acceptance.DUPLICATE
    assert ledger.counters.duplicates == 1
    assert (ledger.waiting, ledger.in_flight, ledger.counters.accepted) == before


def test_the_same_stamp_on_two_inputs_is_two_items():
    """They are in work at one time, also with one worker, and an answer means only one of them."""
    ledger = book()
    assert ledger.accept(key(5, 'left'), 'L', 0.0) == (Acceptance.ACCEPTED, None)
    assert ledger.accept(key(5, 'right'), 'R', 0.0) == (Acceptance.ACCEPTED, None)
    assert [(item.number, item.payload) for item in assigned(ledger, 'a', 2)] == [
        (1, 'L'),
        (2, 'R'),
    ]
    assert ledger.complete('a', 2, ['out']).delivered == []
    assert ledger.fail('a', 1, 'boom') == NOTHING
    assert assign(ledger, 'a') == [1]
    assert ledger.complete('a', 1, ['out']).delivered == [
        Delivered(key(5, 'left'), 'out', 0.0),
        Delivered(key(5, 'right'), 'out', 0.0),
    ]
    assert ledger.counters.duplicate_answers == 0


def test_a_full_queue_drops_the_oldest_that_waits():
    """``drop_oldest``: the new item is accepted, the oldest is pushed out and counted."""
    ledger = book(2, queue_size=2)
    acceptance, pushed_out = ledger.accept(key(30), '', 0.0)
    assert acceptance is Acceptance.ACCEPTED
    assert pushed_out is not None
    assert (pushed_out.number, pushed_out.key) == (1, key(10))
    assert ledger.counters.dropped == 1
    assert assign(ledger, 'a', 3) == [2, 3]


def test_items_in_work_take_no_room_in_the_queue_and_are_never_dropped():
    """Only what waits counts against the queue's size, and only that may be dropped."""
    ledger = book(2, queue_size=2)
    assert assign(ledger, 'a', 2) == [1, 2]
    for stamp in (30, 40, 50):
        accept(ledger, stamp)
    assert ledger.counters.dropped == 1
    assert [complete(ledger, 'a', number) for number in (1, 2)] == [['out 1'], ['out 2']]
    assert assign(ledger, 'a', 3) == [4, 5]


def test_items_to_be_redelivered_are_never_dropped():
    """What came back from a dead worker waits beside the queue, however full that is."""
    ledger = book(2, queue_size=2)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed')
    for stamp in (30, 40, 50):
        accept(ledger, stamp)
    assert ledger.waiting == 4
    assert assign(ledger, 'b', 5) == [1, 2, 4, 5]


def test_a_full_queue_that_blocks_refuses_and_forgets():
    """``block``: the item is refused, counted as that, and may be offered again."""
    ledger = book(2, queue_size=2, overflow=Overflow.BLOCK)
    assert ledger.accept(key(30), '', 0.0) == (Acceptance.REFUSED, None)
    assert not ledger.knows(key(30))
    assert (ledger.counters.refused, ledger.counters.dropped) == (1, 0)
    assert assign(ledger, 'a') == [1]
    assert accept(ledger, 30) is Acceptance.ACCEPTED


@pytest.mark.parametrize('overflow', Overflow)
def test_a_duplicate_at_a_full_queue_is_a_duplicate(overflow: Overflow):
    """It pushes nothing out, and is not asked to come again."""
    ledger = book(2, queue_size=2, overflow=overflow)
    assert accept(ledger, 20) is Acceptance.DUPLICATE
    assert (ledger.counters.dropped, ledger.counters.refused) == (0, 0)


def test_free_tells_the_room_in_the_queue():
    """The queue's size less what waits; items in work do not count."""
    ledger = book(2, queue_size=3)
    assert ledger.free == 1
    assign(ledger, 'a')
    assert ledger.free == 2
    accept(ledger, 30)
    ledger.keep_by(**{**RULES, 'queue_size': 1})
    assert ledger.free == 0


def test_flush_drops_what_waits_and_nothing_else():
    """What a worker holds, and what is to be redelivered, goes on."""
    ledger = book(5)
    assign(ledger, 'a')
    assign(ledger, 'b')
    ledger.release('b', 'killed')
    assert ledger.flush() == 3
    assert ledger.counters.dropped == 3
    assert (ledger.waiting, ledger.in_flight) == (1, 1)
    assert assign(ledger, 'c', 5) == [2]


def test_what_was_finished_is_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch):
    """Only so many identities are remembered: those finished last."""
    monkeypatch.setattr(Ledger, 'REMEMBERED', 3)
    ledger = book(5)
    assign(ledger, 'a', 5)
    for number in (3, 1, 2, 5, 4):
        complete(ledger, 'a', number)
    assert [stamp for stamp in (10, 20, 30, 40, 50) if ledger.knows(key(stamp))] == [20, 40, 50]
    assert accept(ledger, 10) is Acceptance.ACCEPTED
    assert ledger.counters.duplicates == 0


def test_what_was_dropped_is_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch):
    """Pushed out or flushed: it is not here any more, and was finished then."""
    monkeypatch.setattr(Ledger, 'REMEMBERED', 2)
    ledger = book(3, queue_size=2)
    assert ledger.knows(key(10))
    ledger.flush()
    assert [ledger.knows(key(stamp)) for stamp in (10, 20, 30)] == [False, True, True]
    assert accept(ledger, 10) is Acceptance.ACCEPTED


def test_what_is_here_stays_known_however_much_passes_meanwhile(monkeypatch: pytest.MonkeyPatch):
    """Open, returned, or waiting in a long queue; and finished late, it is remembered from then."""
    monkeypatch.setattr(Ledger, 'REMEMBERED', 3)
    ledger = book(2)
    assert assign(ledger, 'a', 2) == [1, 2]
    ledger.give_back('a', 2)
    for number in range(3, 40):
        accept(ledger, 10 * number)
    ledger.complete('stranger', 2)
    for number in range(3, 20):
        assert assign(ledger, 'b') == [number]
        ledger.complete('b', number)
    here = [1, *range(20, 40)]
    assert all(accept(ledger, 10 * number) is Acceptance.DUPLICATE for number in here)
    assert not ledger.knows(key(20))
    complete(ledger, 'a', 1)
    assert accept(ledger, 10) is Acceptance.DUPLICATE, 'only just finished'


# -- to the workers ------------------------------------------------------------------------------


def test_items_are_given_in_the_order_they_came():
    """First in, first out, whoever asks."""
    ledger = book(4)
    assert assign(ledger, 'a') + assign(ledger, 'b') + assign(ledger, 'a', 2) == [1, 2, 3, 4]


def test_nothing_is_given_when_nothing_waits():
    """An empty queue gives None, and books nothing on anybody."""
    ledger = book()
    assert ledger.assign('a') is None
    assert ledger.workers == []


def test_what_a_worker_holds_is_booked_on_it():
    """The load of each worker is known, and who has any."""
    ledger = book(3)
    assign(ledger, 'a', 2)
    assign(ledger, 'b')
    assert [ledger.held_by(worker) for worker in 'abc'] == [2, 1, 0]
    assert ledger.workers == ['a', 'b']
    assert (ledger.in_flight, ledger.waiting, ledger.outstanding) == (3, 0, 3)
    complete(ledger, 'b', 3)
    assert ledger.workers == ['a']
    assert (ledger.in_flight, ledger.waiting, ledger.outstanding) == (2, 0, 3)


def test_an_item_is_held_by_one_worker_until_it_is_done():
    """Neither by those who had it before, nor by who is still busy with it when it is done."""
    ledger = book(2)
    assign(ledger, 'a')
    assert ledger.is_held('a', 1)
    assert not ledger.is_held('a', 2)
    assert not ledger.is_held('stranger', 1)
    ledger.release('a', 'killed')
    assert not ledger.is_held('a', 1)
    assign(ledger, 'b')
    assert ledger.is_held('b', 1)
    complete(ledger, 'a', 1)
    assert (ledger.is_held('b', 1), ledger.held_by('b')) == (False, 1)


def test_redeliveries_go_first_and_the_oldest_of_them_before_the_others():
    """What came back goes out again before anything new, in the order of the first time."""
    ledger = book(5)
    assign(ledger, 'a')
    assign(ledger, 'b', 2)
    ledger.release('b', 'killed')
    ledger.release('a', 'killed')
    assert assign(ledger, 'c', 5) == [1, 2, 3, 4, 5]
    assert ledger.counters.redelivered == 3


def test_without_fresh_only_redeliveries_are_given():
    """Where the stage downstream has no room, new items stay and returned ones go on."""
    ledger = book(2)
    assign(ledger, 'a')
    assert ledger.assign('b', fresh=False) is None
    ledger.release('a', 'killed')
    item = ledger.assign('b', fresh=False)
    assert item is not None
    assert item.number == 1


# -- answers -------------------------------------------------------------------------------------


def test_an_answered_item_is_completed_and_delivered():
    """The usual way: accepted, assigned, answered, passed on."""
    ledger = book(1)
    assign(ledger, 'a')
    assert complete(ledger, 'a', 1) == ['out 1']
    assert (ledger.counters.completed, ledger.counters.delivered) == (1, 1)
    assert ledger.held_by('a') == 0
    assert ledger.empty


def test_an_answer_without_output_completes_the_item():
    """Nothing to pass on is an answer, too."""
    ledger = book(1)
    assign(ledger, 'a')
    assert ledger.complete('a', 1) == NOTHING
    assert (ledger.counters.completed, ledger.counters.delivered) == (1, 0)
    assert ledger.empty


def test_an_answer_may_have_several_outputs():
    """They stay together, in their order, and each is counted."""
    ledger = book(1)
    assign(ledger, 'a')
    assert outputs(ledger.complete('a', 1, iter(['x', 'y']))) == ['x', 'y']
    assert (ledger.counters.completed, ledger.counters.delivered) == (1, 2)


def test_outputs_leave_in_the_order_the_items_were_given():
    """An early answer is withheld until those before it are finished."""
    ledger = book(3)
    for worker in 'abc':
        assign(ledger, worker)
    assert complete(ledger, 'c', 3) == []
    assert complete(ledger, 'b', 2) == []
    assert (ledger.withheld, ledger.outstanding, ledger.in_flight) == (2, 3, 1)
    assert (ledger.counters.completed, ledger.counters.delivered) == (2, 0)
    assert not ledger.empty
    assert complete(ledger, 'a', 1) == ['out 1', 'out 2', 'out 3']
    assert ledger.empty


def test_without_order_outputs_leave_as_they_come():
    """``ordered: false`` withholds nothing."""
    ledger = book(2, ordered=False)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assert complete(ledger, 'b', 2) == ['out 2']
    assert ledger.withheld == 0
    assert complete(ledger, 'a', 1) == ['out 1']


def test_an_item_without_output_lets_later_ones_pass():
    """A place in the order is released also by an answer that says nothing."""
    ledger = book(2)
    assign(ledger, 'a', 2)
    assert complete(ledger, 'a', 2) == []
    assert outputs(ledger.complete('a', 1)) == ['out 2']


def test_a_second_answer_is_dropped_and_counted():
    """The first answer wins."""
    ledger = book(1)
    assign(ledger, 'a')
    complete(ledger, 'a', 1)
    assert complete(ledger, 'a', 1) == []
    assert (ledger.counters.completed, ledger.counters.duplicate_answers) == (1, 1)


@pytest.mark.parametrize('worker', ['a', 'stranger'])
def test_an_answer_to_an_unknown_number_is_dropped_and_counted(worker: str):
    """Also one to an item that still waits: nobody was given it."""
    ledger = book(2)
    assign(ledger, 'a')
    for number in (2, 99, -1):
        assert complete(ledger, worker, number) == []
        assert ledger.retract(worker, number) == NOTHING
        assert ledger.refuse(worker, number) == NOTHING
    assert ledger.counters.duplicate_answers == 9
    assert ledger.counters.refused == 0
    assert (ledger.waiting, ledger.in_flight) == (1, 1)


def test_a_late_answer_of_a_lost_worker_counts_before_redelivery():
    """It was on its way while its worker died: the item need not be done again."""
    ledger = book(1)
    assign(ledger, 'a')
    ledger.release('a', 'killed', in_work=1)
    assert complete(ledger, 'a', 1) == ['out 1']
    assert assign(ledger, 'b') == []
    assert ledger.empty


def test_a_late_answer_of_a_lost_worker_counts_after_redelivery():
    """The one who was given the item since answers a second time, which is dropped."""
    ledger = book(1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assert assign(ledger, 'b') == [1]
    assert complete(ledger, 'a', 1) == ['out 1']
    assert ledger.held_by('b') == 1, 'still busy with it'
    assert (ledger.in_flight, ledger.empty) == (0, True)
    assert complete(ledger, 'b', 1) == []
    assert ledger.held_by('b') == 0
    assert (ledger.counters.completed, ledger.counters.duplicate_answers) == (1, 1)


def test_a_late_answer_among_equal_stamps_means_its_own_item():
    """Its number says which of two inputs it is about."""
    ledger = book()
    for source in ('left', 'right'):
        accept(ledger, 5, source)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed')
    assert complete(ledger, 'a', 2) == []
    assert assign(ledger, 'b', 2) == [1]
    assert complete(ledger, 'b', 1) == ['out 1', 'out 2']


def test_a_late_answer_to_a_quarantined_item_is_dropped():
    """What was taken out of the stream stays out."""
    ledger = book(1, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed', in_work=1)
    assert complete(ledger, 'a', 1) == []
    assert ledger.counters.duplicate_answers == 1
    assert ledger.empty


def test_whoever_is_busy_with_a_finished_item_hands_it_back_for_nothing():
    """It failed, or was given back: the item is done all the same."""
    for fails in (True, False):
        ledger = book(1, max_attempts=1)
        assign(ledger, 'a')
        ledger.release('a', 'killed')
        assign(ledger, 'b')
        complete(ledger, 'a', 1)
        if fails:
            assert ledger.fail('b', 1, 'boom') == NOTHING
        else:
            ledger.give_back('b', 1)
        assert ledger.held_by('b') == 0
        assert ledger.empty
        assert ledger.counters.quarantined == 0


def test_a_retracted_item_never_was_one():
    """A source that has come to its end hands back what it was asked for; the order goes on."""
    ledger = book(2)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 2)
    assert outputs(ledger.retract('a', 1)) == ['out 2']
    assert (ledger.counters.accepted, ledger.counters.completed) == (1, 1)
    assert ledger.empty


def test_a_refused_item_never_was_one_and_is_counted():
    """Bytes that are no message: nothing is tried again, the order goes on."""
    ledger = book(2, max_attempts=5)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 2)
    assert outputs(ledger.refuse('a', 1)) == ['out 2']
    counters = ledger.counters
    assert (counters.accepted, counters.completed, counters.refused) == (1, 1, 1)
    assert ledger.held_by('a') == 0
    assert ledger.empty


@pytest.mark.parametrize('call', ['retract', 'refuse'])
def test_retracting_or_refusing_a_finished_item_changes_nothing(call: str):
    """It counts as an answer that came twice."""
    ledger = book(1)
    assign(ledger, 'a')
    complete(ledger, 'a', 1)
    assert getattr(ledger, call)('a', 1) == NOTHING
    counters = ledger.counters
    assert (counters.accepted, counters.refused, counters.duplicate_answers) == (1, 0, 1)


# -- back without an answer ----------------------------------------------------------------------


def test_an_item_given_back_was_not_tried():
    """However often it is given back, it is not suspected."""
    ledger = book(1, max_attempts=1)
    for _ in range(5):
        assert assign(ledger, 'a') == [1]
        ledger.give_back('a', 1)
    assert (ledger.waiting, ledger.in_flight, ledger.counters.quarantined) == (1, 0, 0)
    assert ledger.counters.redelivered == 4
    assert ledger.workers == []


def test_giving_back_what_one_does_not_hold_changes_nothing():
    """Neither another worker's item, nor a finished one, nor one given back already."""
    ledger = book(2)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 1)
    ledger.give_back('b', 2)
    ledger.give_back('a', 1)
    assert (ledger.waiting, ledger.in_flight) == (0, 1)
    ledger.give_back('a', 2)
    ledger.give_back('a', 2)
    assert (ledger.waiting, ledger.in_flight) == (1, 0)


def test_a_failed_item_is_tried_again_up_to_max_attempts():
    """The last attempt takes it to quarantine, with the cause of that attempt; nobody is blamed."""
    ledger = book(1, max_attempts=3)
    for cause in ('first', 'second'):
        assign(ledger, 'a')
        assert ledger.fail('a', 1, cause) == NOTHING
    assign(ledger, 'b')
    ((item, cause),) = ledger.fail('b', 1, 'third').quarantined
    assert (item.key, item.attempts, item.blamed_for, cause) == (key(10), 3, (), 'third')
    assert ledger.counters.quarantined == 1
    assert ledger.empty


def test_failing_what_one_does_not_hold_changes_nothing():
    """A late failure of a worker that was given up is no attempt."""
    ledger = book(1, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b')
    assert ledger.fail('a', 1, 'late') == NOTHING
    assert (ledger.in_flight, ledger.counters.quarantined) == (1, 0)


def test_a_quarantined_item_releases_its_place():
    """The stream goes on without it."""
    ledger = book(2, max_attempts=1)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assert complete(ledger, 'b', 2) == []
    settled = ledger.fail('a', 1, 'boom')
    assert outputs(settled) == ['out 2']
    assert [each.item.key for each in settled.quarantined] == [key(10)]


def test_a_lost_worker_returns_all_it_held():
    """Nothing that it held is lost; nothing stays booked on it."""
    ledger = book(3)
    assign(ledger, 'a', 3)
    assert ledger.release('a', 'killed') == NOTHING
    assert (ledger.waiting, ledger.in_flight, ledger.held_by('a')) == (3, 0, 0)
    assert assign(ledger, 'b', 3) == [1, 2, 3]


@pytest.mark.parametrize('in_work', [1, 2, 3])
def test_only_the_item_in_work_is_suspected(in_work: int):
    """Those merely prefetched go to others without a mark, wherever in the hand it was."""
    ledger = book(3, max_attempts=2)
    assign(ledger, 'a', 3)
    ledger.release('a', 'killed', in_work=in_work)
    items = assigned(ledger, 'b', 3)
    assert [item.number for item in items] == [1, 2, 3]
    assert [item.attempts for item in items] == [int(number == in_work) for number in (1, 2, 3)]
    assert [item.blamed_for for item in items if item.number == in_work] == [('a',)]
    assert [item.blamed_for for item in items if item.number != in_work] == [(), ()]


@pytest.mark.parametrize('in_work', [None, 2, 99])
def test_without_an_item_in_work_no_attempt_is_counted(in_work: int | None):
    """Nothing was in work, or something the worker does not hold: another's, or nobody's."""
    ledger = book(2, max_attempts=1)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assert ledger.release('a', 'shut down', in_work=in_work) == NOTHING
    (item,) = assigned(ledger, 'c')
    assert (item.number, item.attempts, item.blamed_for) == (1, 0, ())


def test_the_death_of_max_attempts_workers_is_poison():
    """The item each had in work goes to quarantine, and tells who died; its neighbours do not."""
    ledger = book(3, max_attempts=2)
    assign(ledger, 'a', 2)
    ledger.release('a', 'signal 11', in_work=1)
    assign(ledger, 'b', 2)
    ((item, cause),) = ledger.release('b', 'signal 9', in_work=1).quarantined
    assert (item.key, item.attempts, cause) == (key(10), 2, 'signal 9')
    assert item.blamed_for == ('a', 'b')
    assert item.payload == 'camera@10'
    assert assign(ledger, 'c', 3) == [2, 3]


def test_failures_and_deaths_count_together():
    """Blamed for the death alone."""
    ledger = book(1, max_attempts=2)
    assign(ledger, 'a')
    ledger.release('a', 'signal 11', in_work=1)
    assign(ledger, 'b')
    ((item, _),) = ledger.fail('b', 1, 'boom').quarantined
    assert (item.attempts, item.blamed_for) == (2, ('a',))


def test_a_death_that_takes_an_item_out_lets_the_next_outputs_go():
    """What waited for it leaves; what else the worker held comes back."""
    ledger = book(3, max_attempts=1)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assign(ledger, 'a')
    complete(ledger, 'b', 2)
    settled = ledger.release('a', 'killed', in_work=1)
    assert outputs(settled) == ['out 2']
    assert [each.item.number for each in settled.quarantined] == [1]
    assert assign(ledger, 'c', 2) == [3]


def test_nobody_is_suspected_while_a_worker_is_busy_with_a_finished_item():
    """What it had in work was finished by another's answer; the next one was only prefetched."""
    ledger = book(2, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b', 2)
    complete(ledger, 'a', 1)
    assert ledger.release('b', 'killed', in_work=1) == NOTHING
    assert assign(ledger, 'c') == [2]


def test_releasing_an_idle_or_unknown_worker_changes_nothing():
    """There was nothing to take back."""
    ledger, calls = recorded_book(1)
    assign(ledger, 'a')
    complete(ledger, 'a', 1)
    calls.clear()
    assert ledger.release('a', 'killed', in_work=1) == NOTHING
    assert ledger.release('stranger', 'killed') == NOTHING
    assert calls == []


def test_unordered_items_come_back_too():
    """Redelivery needs no places."""
    ledger = book(3, ordered=False)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed')
    assert assign(ledger, 'b', 3) == [1, 2, 3]


def test_an_item_tells_what_it_is():
    """Its repr, for logs: its number, where it came from, its stamp, how often it was tried."""
    assert repr(Item(3, key(7), b'', 0.0, 2)) == 'Item(3, camera@7, attempts=2)'


# -- dropped by hand -----------------------------------------------------------------------------


def test_items_to_be_given_out_again_can_be_dropped():
    """They are counted, give up their places, and are known still."""
    ledger = book(4)
    assign(ledger, 'a', 3)
    assign(ledger, 'b')
    complete(ledger, 'b', 4)
    ledger.release('a', 'killed')
    assert ledger.drop([1]) == NOTHING
    assert outputs(ledger.drop(iter([3, 2]))) == ['out 4']
    assert ledger.counters.dropped == 3
    assert ledger.empty
    assert complete(ledger, 'a', 1) == [], 'too late'
    assert accept(ledger, 10) is Acceptance.DUPLICATE


def test_only_what_is_to_be_given_out_again_can_be_dropped():
    """Neither what waits, nor what is in work, is finished, or was never heard of."""
    ledger, calls = recorded_book(4)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 1)
    assign(ledger, 'b')
    ledger.release('b', 'killed')
    calls.clear()
    assert ledger.drop([1, 2, 4, 99]) == NOTHING
    assert ledger.drop([]) == NOTHING
    assert calls == []
    assert ledger.counters.dropped == 0
    ledger.drop([2, 3, 3])
    assert calls == [('drop', ((3,),))]
    assert (ledger.counters.dropped, ledger.in_flight, ledger.waiting) == (1, 1, 1)


def test_nothing_is_lost_while_every_item_is_at_hand():
    """``drop_the_lost`` drops only items of which the payload is gone."""
    ledger, calls = recorded_book(2)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    calls.clear()
    assert ledger.drop_the_lost() == NOTHING
    assert calls == []
    assert assign(ledger, 'b', 2) == [1, 2]


# -- what a worker has received ------------------------------------------------------------------


def test_what_has_not_reached_a_worker_is_sent_again():
    """The items as they are; they stay booked on it, and nothing is recorded or counted."""
    ledger, calls = recorded_book(4)
    assign(ledger, 'a', 3)
    assign(ledger, 'b')
    calls.clear()
    items = ledger.reconcile('a', {2})
    assert [(item.number, item.payload) for item in items] == [(1, 'camera@10'), (3, 'camera@30')]
    assert ledger.held_by('a') == 3
    assert (calls, ledger.counters.redelivered) == ([], 0)
    assert ledger.reconcile('a', [1, 2, 3, 99]) == []
    assert ledger.reconcile('stranger', []) == []


def test_what_is_done_already_is_not_sent_again():
    """The worker is free of it."""
    ledger, calls = recorded_book(2)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b', 2)
    complete(ledger, 'a', 1)
    calls.clear()
    assert [item.number for item in ledger.reconcile('b', ())] == [2]
    assert ledger.held_by('b') == 1
    assert calls == [('forget', ('b', (1,)))]


def test_what_can_not_be_sent_again_is_lost():
    """Its payload was not written down, and it has not reached the worker; what has goes on."""
    ledger = book(3)
    assign(ledger, 'a', 3)
    ledger = made_anew(ledger, payloads=False)
    ledger.resume({1: 'dumped by another'})
    assert [(item.number, item.payload) for item in ledger.reconcile('a', {2})] == [
        (1, 'dumped by another')
    ]
    assert (ledger.held_by('a'), ledger.waiting) == (2, 1)
    assert ledger.drop_the_lost() == NOTHING
    assert (ledger.counters.dropped, ledger.waiting) == (1, 0)
    assert complete(ledger, 'a', 1) + complete(ledger, 'a', 2) == ['out 1', 'out 2']
    assert ledger.empty


def test_what_a_worker_is_to_be_forgotten_of_goes_to_others():
    """Without a mark; what is done already, or not booked on it, is left alone."""
    ledger, calls = recorded_book(4, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b', 3)
    assign(ledger, 'c')
    complete(ledger, 'a', 1)
    calls.clear()
    ledger.forget('b', iter([1, 2, 4, 99, 2]))
    assert calls == [('forget', ('b', (1, 2)))]
    assert (ledger.held_by('b'), ledger.held_by('c'), ledger.waiting) == (1, 1, 1)
    ledger.forget('stranger', [3])
    ledger.forget('b', [])
    assert len(calls) == 1
    (item,) = assigned(ledger, 'd', 2)
    assert (item.number, item.attempts) == (2, 0)


# -- the book as plain values --------------------------------------------------------------------


def busy_book(**settings) -> Ledger:
    """Something of everything: see the asserts."""
    ledger = book(9, max_attempts=2, **settings)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed', in_work=2)
    assign(ledger, 'b', 4)
    complete(ledger, 'a', 1)
    complete(ledger, 'b', 3)
    complete(ledger, 'b', 4)
    ledger.give_back('b', 2)
    assign(ledger, 'c', 3)
    ledger.release('c', 'killed', in_work=6)
    assign(ledger, 'd')
    accept(ledger, 10)
    assert (ledger.waiting, ledger.in_flight, ledger.withheld) == (5, 1, 2)
    assert ledger.held_by('b') == 1, 'with an item that is done'
    assert ledger.held_by('d') == 1
    return ledger


def test_a_snapshot_makes_the_same_book():
    """Through marshal and back; what comes then goes the same way with either."""
    ledger = busy_book()
    before = ledger.snapshot(payloads=True)
    anew = made_anew(ledger, payloads=True)
    assert anew.snapshot(payloads=True) == before
    for each in (ledger, anew):
        for stamp in (10, 20, 50, 70):
            assert accept(each, stamp) is Acceptance.DUPLICATE, 'done, in work, returned, waiting'
        assert accept(each, 100) is Acceptance.ACCEPTED
        items = assigned(each, 'e', 10)
        assert [(item.number, item.payload, item.attempts, item.blamed_for) for item in items] == [
            (5, 'camera@50', 0, ()),
            (6, 'camera@60', 1, ('c',)),
            (7, 'camera@70', 0, ()),
            (8, 'camera@80', 0, ()),
            (9, 'camera@90', 0, ()),
            (10, 'camera@100', 0, ()),
        ]
        assert complete(each, 'd', 2) == ['out 2', 'out 3', 'out 4']
        ((item, _),) = each.release('e', 'killed', in_work=6).quarantined
        assert item.blamed_for == ('c', 'e')
    assert anew.snapshot(payloads=True) == ledger.snapshot(payloads=True)


def test_a_snapshot_stays_as_it_is():
    """Neither the book it was taken of nor the one made of it changes it."""
    ledger = busy_book()
    before = ledger.snapshot(payloads=True)
    kept = copy.deepcopy(before)
    anew = Ledger(queue_size=1)
    anew.restore(before)
    for each in (ledger, anew):
        assign(each, 'e', 2)
        complete(each, 'd', 2)
        each.release('e', 'killed', in_work=5)
        each.flush()
        each.resume({})
    assert before == kept


def test_a_snapshot_without_payloads_tells_everything_else():
    """Neither items nor outputs; the book is the same but for these."""
    ledger = busy_book()
    book_without = marshal.dumps(ledger.snapshot(payloads=False))
    assert b'camera@' not in book_without
    assert b'out ' not in book_without
    anew = made_anew(ledger, payloads=False)
    assert anew.snapshot(payloads=True) == ledger.snapshot(payloads=False)
    assert (anew.waiting, anew.in_flight, anew.withheld) == (5, 1, 2)


def test_restoring_takes_the_place_of_what_was_there():
    """Nothing is left of the book before, its counters and its order included."""
    state = book(1).snapshot(payloads=True)
    ledger = busy_book()
    ledger.restore(state)
    assert ledger.snapshot(payloads=True) == state
    assert not ledger.knows(key(20))
    assert ledger.workers == []
    assert assign(ledger, 'a', 2) == [1]
    assert complete(ledger, 'a', 1) == ['out 1']


def test_numbers_go_on_where_they_were():
    """A book made anew gives none of them twice."""
    ledger = book(3)
    ledger.flush()
    anew = made_anew(ledger, payloads=True)
    accept(anew, 40)
    assert assign(anew, 'a') == [4]


def test_a_book_is_restored_with_the_rules_it_was_kept_by():
    """What was recorded after it has to be replayed by these; then others may be set."""
    ledger, calls = recorded_book(
        2, queue_size=2, overflow=Overflow.BLOCK, max_attempts=3, ordered=False
    )
    anew = made_anew(ledger, payloads=True)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed', in_work=1)
    assign(ledger, 'a', 2)
    assert ledger.fail('a', 1, 'boom') == NOTHING
    assert accept(ledger, 30) is Acceptance.ACCEPTED
    assert complete(ledger, 'a', 2) == ['out 2']
    for name, arguments in calls:
        anew.replay(name, arguments)
    assert anew.snapshot(payloads=True) == ledger.snapshot(payloads=True)
    assert anew.overflow is Overflow.BLOCK
    rules = (anew.queue_size, anew.overflow, anew.max_attempts, anew.ordered)
    assert rules == (2, Overflow.BLOCK, 3, False)
    anew.keep_by(queue_size=1, overflow=Overflow.DROP_OLDEST, max_attempts=1, ordered=True)
    rules = (anew.queue_size, anew.overflow, anew.max_attempts, anew.ordered)
    assert rules == (1, Overflow.DROP_OLDEST, 1, True)
    assert anew.snapshot(payloads=True)['rules'] == (1, 'drop_oldest', 1, True)


def test_other_rules_are_for_what_comes_from_now_on():
    """A shorter queue keeps what waits, an order is for items given out from then on."""
    ledger = book(4, ordered=False, max_attempts=5)
    assign(ledger, 'a')
    ledger.keep_by(queue_size=1, overflow=Overflow.DROP_OLDEST, max_attempts=1, ordered=True)
    assert ledger.waiting == 3
    assert assign(ledger, 'a', 2) == [2, 3]
    assert complete(ledger, 'a', 3) == []
    assert ledger.fail('a', 1, 'boom').quarantined != []
    assert complete(ledger, 'a', 2) == ['out 2', 'out 3']
    ledger.keep_by(**{**RULES, 'ordered': False})
    assert assign(ledger, 'a') == [4]
    assert complete(ledger, 'a', 4) == ['out 4']


def test_items_with_a_place_keep_it_when_the_order_is_given_up():
    """Those given out after them pass them by."""
    ledger = book(3)
    assign(ledger, 'a', 2)
    ledger.keep_by(**{**RULES, 'ordered': False})
    assign(ledger, 'a')
    assert complete(ledger, 'a', 2) == []
    assert complete(ledger, 'a', 3) == ['out 3']
    assert complete(ledger, 'a', 1) == ['out 1', 'out 2']


# -- what is recorded, and made again ------------------------------------------------------------


def history(ledger: Ledger) -> list[Settled]:
    """Every call that can be recorded, each of its ways; what they settled."""
    settled = []
    for stamp in range(10, 60, 10):
        ledger.accept(key(stamp), f'camera@{stamp}', 0.5)
    ledger.accept(key(10), 'a duplicate', 0.5)
    assign(ledger, 'a', 2)
    assign(ledger, 'b', 2)
    ledger.give_back('b', 3)
    settled.append(ledger.release('a', 'killed', 1))
    assert ledger.assign('c', fresh=False) is not None
    settled.append(ledger.fail('c', 1, 'boom'))
    settled.append(ledger.complete('a', 2, ['late', 'twice']))
    settled.append(ledger.complete('a', 2, ['again']))
    assign(ledger, 'c', 2)
    settled.append(ledger.retract('c', 3))
    settled.append(ledger.refuse('c', 5))
    for stamp in (60, 70, 80, 90, 100, 110):
        ledger.accept(key(stamp), f'camera@{stamp}', 1.0)
    assign(ledger, 'd', 3)
    ledger.forget('d', [7])
    settled.append(ledger.drop([7]))
    ledger.flush()
    ledger.flush()
    settled.append(ledger.complete('b', 4, ['out 4']))
    settled.append(ledger.release('d', 'shut down'))
    return settled


def test_what_was_recorded_makes_the_same_book():
    """Every call, through marshal and back: the same facts, the same book."""
    calls: list[bytes] = []
    rules: dict[str, Any] = {'queue_size': 5, 'max_attempts': 2}
    ledger = Ledger(**rules, record=lambda *call: calls.append(marshal.dumps(call)))
    settled = history(ledger)
    assert sum(len(each.delivered) for each in settled) == 3
    assert sum(len(each.quarantined) for each in settled) == 1

    anew = Ledger(**rules)
    again = [anew.replay(*marshal.loads(call)) for call in calls]
    facts = [each for one in settled for each in one.delivered]
    assert [each for one in again for each in one.delivered] == facts
    assert [each.item.number for one in again for each in one.quarantined] == [1]
    assert {marshal.loads(call)[0] for call in calls} == {
        'accept',
        'assign',
        'complete',
        'drop',
        'fail',
        'flush',
        'forget',
        'give_back',
        'refuse',
        'release',
        'retract',
    }
    expected, made = (each.snapshot(payloads=True) for each in (ledger, anew))
    unrecorded = {'duplicates', 'duplicate_answers'}
    for state in (expected, made):
        state['counters'] = {
            name: total for name, total in state['counters'].items() if name not in unrecorded
        }
    assert made == expected


@pytest.mark.parametrize('length', range(31))
def test_any_part_of_what_was_recorded_can_be_made_again_after_a_snapshot(length: int):
    """Wherever the snapshot was taken: the rest leads to the same book."""
    calls: Calls = []
    ledger = Ledger(queue_size=5, record=lambda *call: calls.append(call))
    history(ledger)
    assert length <= len(calls)
    anew = Ledger(queue_size=5)
    for call in calls[:length]:
        anew.replay(*call)
    anew = made_anew(anew, payloads=True)
    for call in calls[length:]:
        anew.replay(*call)
    expected, made = (each.snapshot(payloads=True) for each in (ledger, anew))
    for state in (expected, made):
        del state['counters']
    assert made == expected


def test_only_what_changes_the_book_is_recorded():
    """Neither duplicates nor refusals, nor what anybody does with items not its own."""
    ledger, calls = recorded_book(4, queue_size=2, overflow=Overflow.BLOCK)
    assert assign(ledger, 'a', 2) == [1, 2]
    complete(ledger, 'a', 1)
    accept(ledger, 50)
    accept(ledger, 60)
    calls.clear()
    before = ledger.snapshot(payloads=True)
    assert accept(ledger, 10) is Acceptance.DUPLICATE
    assert accept(ledger, 70) is Acceptance.REFUSED
    assert ledger.assign('b', fresh=False) is None
    complete(ledger, 'a', 1)
    ledger.retract('a', 1)
    ledger.refuse('a', 1)
    for number in (1, 2, 3, 99):
        ledger.fail('b', number, 'boom')
        ledger.give_back('b', number)
    complete(ledger, 'b', 3)
    ledger.release('b', 'killed', 2)
    ledger.reconcile('a', [2])
    ledger.forget('a', [1])
    ledger.drop([1, 2, 3])
    ledger.drop_the_lost()
    ledger.keep_by(**{**RULES, 'queue_size': 2, 'overflow': Overflow.BLOCK})
    assert calls == []
    after = ledger.snapshot(payloads=True)
    for state in (before, after):
        state.pop('counters')
    assert after == before
    assert book().flush() == 0


def test_a_flush_of_nothing_is_not_recorded():
    """Nothing was dropped; one of a single item is."""
    ledger, calls = recorded_book()
    ledger.flush()
    assert ledger.assign('a') is None
    assert calls == []
    accept(ledger, 10)
    ledger.flush()
    assert calls[1:] == [('flush', ())]


def test_a_call_is_recorded_as_plain_values():
    """Its name and its arguments, outputs as a tuple, with what else is to be known."""
    ledger, calls = recorded_book()
    ledger.accept(key(10), b'bytes', 1.5)
    ledger.assign('a')
    ledger.release('a', 'killed', 1)
    ledger.assign('b', fresh=False)
    ledger.complete('b', 1, iter([b'out']))
    assert calls == [
        ('accept', ('camera', 10, b'bytes', 1.5)),
        ('assign', ('a',)),
        ('release', ('a', 'killed', 1)),
        ('assign', ('b',)),
        ('complete', ('b', 1, (b'out',))),
    ]


def test_the_answer_that_only_frees_a_worker_is_recorded():
    """The item was done by another; that the worker is free again is a change."""
    ledger, calls = recorded_book(1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b')
    complete(ledger, 'a', 1)
    calls.clear()
    complete(ledger, 'b', 1)
    assert calls == [('complete', ('b', 1, ('out 1',)))]


def test_what_is_made_again_is_not_recorded_again():
    """Nor is how a book made anew is gone on with; what comes after that is."""
    ledger, calls = recorded_book(2)
    state = ledger.snapshot(payloads=False)
    assign(ledger, 'a')
    ledger.give_back('a', 1)
    anew, again = recorded_book()
    anew.restore(state)
    for call in list(calls):
        anew.replay(*call)
    anew.resume({})
    assert anew.counters.dropped == 2
    assert again == []
    accept(anew, 30)
    assert [name for name, _ in again] == ['accept']


# -- going on after a crash ----------------------------------------------------------------------


def test_with_all_items_written_down_nothing_is_lost():
    """To resume changes nothing then, whatever was dumped."""
    ledger = busy_book()
    anew = made_anew(ledger, payloads=True)
    assert anew.resume({5: 'another', 99: 'unknown'}) == NOTHING
    assert anew.snapshot(payloads=True) == ledger.snapshot(payloads=True)


def test_without_items_only_what_workers_hold_goes_on():
    """What waited, or was to be redelivered, is dropped and counted, unless it was dumped."""
    anew = made_anew(busy_book(), payloads=False)
    assert anew.resume({5: 'dumped 5', 8: 'dumped 8'}) == NOTHING
    assert anew.counters.dropped == 3
    assert (anew.waiting, anew.in_flight, anew.held_by('b'), anew.held_by('d')) == (2, 1, 1, 1)
    assert [(item.number, item.payload) for item in assigned(anew, 'e', 9)] == [
        (5, 'dumped 5'),
        (8, 'dumped 8'),
    ]
    assert all(accept(anew, stamp) is Acceptance.DUPLICATE for stamp in (70, 90)), 'still known'
    counters = anew.counters
    assert counters.accepted == (
        anew.waiting + anew.in_flight + counters.completed + counters.dropped
    )


def test_withheld_outputs_that_were_not_written_down_are_let_go():
    """Nothing without content is ever passed on; their places hold up nobody."""
    anew = made_anew(busy_book(), payloads=False)
    anew.resume({})
    assert anew.withheld == 4, 'two whose outputs are gone, two that were dropped'
    assert complete(anew, 'd', 2) == ['out 2']
    assert anew.withheld == 0
    assert anew.counters.delivered == 2
    assert anew.empty


def test_withheld_outputs_that_were_written_down_leave_in_their_turn():
    """Also when it is a lost item that they waited for."""
    anew = made_anew(busy_book(), payloads=True)
    anew.resume({})
    anew.release('d', 'killed')
    assert outputs(anew.drop([2])) == ['out 3', 'out 4']


def test_an_item_whose_worker_died_meanwhile_is_lost_unless_it_was_dumped():
    """It goes to another with what was dumped of it, or is dropped: what waited for it leaves."""
    ledger = book(3)
    for worker in 'abc':
        assign(ledger, worker)
    anew = made_anew(ledger, payloads=False)
    anew.resume({2: 'dumped 2'})
    assert anew.drop_the_lost() == NOTHING
    assert complete(anew, 'c', 3) == []
    assert anew.release('b', 'died meanwhile', in_work=2) == NOTHING
    assert anew.drop_the_lost() == NOTHING
    (item,) = assigned(anew, 'c')
    assert (item.number, item.payload, item.blamed_for) == (2, 'dumped 2', ('b',))
    assert complete(anew, 'c', 2) == []
    anew.release('a', 'died meanwhile', in_work=1)
    assert outputs(anew.drop_the_lost()) == ['out 2', 'out 3']
    assert anew.counters.dropped == 1
    assert anew.empty


def test_a_worker_that_lives_answers_for_an_item_nobody_else_has():
    """Its answer counts, and comes once more for nothing."""
    ledger = book(1)
    assign(ledger, 'a')
    anew = made_anew(ledger, payloads=False)
    anew.resume({})
    assert anew.reconcile('a', [1]) == []
    assert complete(anew, 'a', 1) == ['out 1']
    assert complete(anew, 'a', 1) == []
    assert anew.counters.duplicate_answers == 1


@pytest.mark.parametrize('call', ['fail', 'give_back'])
def test_an_item_nobody_else_has_is_lost_when_its_worker_hands_it_back(call: str):
    """There is nothing that another one could be given."""
    ledger = book(2)
    assign(ledger, 'a', 2)
    anew = made_anew(ledger, payloads=False)
    anew.resume({})
    if call == 'fail':
        anew.fail('a', 1, 'boom')
    else:
        anew.give_back('a', 1)
    assert complete(anew, 'a', 2) == []
    assert outputs(anew.drop_the_lost()) == ['out 2']
    assert anew.empty


def test_the_totals_go_on_after_a_crash():
    """Each counter is part of the book."""
    ledger = busy_book()
    anew = made_anew(ledger, payloads=False)
    for name in Counters.__slots__:
        assert getattr(anew.counters, name) == getattr(ledger.counters, name)
    assert anew.counters.completed == 3


def test_the_oldest_can_be_dropped_to_make_room():
    """As a full queue does; what is being worked on stays."""
    ledger = Ledger(queue_size=10)
    assert not ledger.drop_oldest()
    for number in range(3):
        ledger.accept(key(number), number, 0.0)
    assert ledger.assign('w0').payload == 0
    assert ledger.drop_oldest()
    assert ledger.counters.dropped == 1
    assert ledger.assign('w0').payload == 2
    assert not ledger.drop_oldest()
