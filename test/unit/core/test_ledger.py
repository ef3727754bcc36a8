"""The book of one stage, case by case. Random histories are in test_ledger_properties."""

from __future__ import annotations

import pytest

from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.ledger import Acceptance, Ledger, Overflow, Settled


def key(stamp: int, source: str = 'camera') -> ItemKey:
    return ItemKey(source, stamp)


def book(stamps: int = 0, **settings) -> Ledger:
    """A ledger with room for 100 items, and items stamped 0, 1, ... already waiting in it."""
    ledger = Ledger(**{'queue_size': 100, **settings})
    for stamp in range(stamps):
        accept(ledger, stamp)
    return ledger


def accept(ledger: Ledger, stamp: int, source: str = 'camera', now: float = 0.0) -> Acceptance:
    return ledger.accept(key(stamp, source), f'{source}@{stamp}', now)[0]


def assign(ledger: Ledger, worker: str, count: int = 1) -> list[int]:
    """Give a worker some items; their stamps."""
    items = [ledger.assign(worker) for _ in range(count)]
    return [item.key.stamp for item in items if item is not None]


def complete(ledger: Ledger, worker: str, stamp: int) -> list[str]:
    """A worker answers with one output; what leaves the stage on that."""
    settled = ledger.complete(worker, stamp, [f'out {stamp}'])
    assert settled.quarantined == []
    return [each.payload for each in settled.delivered]


def outputs(settled: Settled) -> list[str]:
    return [each.payload for each in settled.delivered]


# -- in ------------------------------------------------------------------------------------------


def test_a_new_ledger_is_empty():
    """Nothing waits, nothing is in work, nothing was counted."""
    ledger = book()
    assert ledger.empty
    assert (ledger.waiting, ledger.in_flight, ledger.withheld, ledger.outstanding) == (0, 0, 0, 0)
    assert all(getattr(ledger.counters, name) == 0 for name in ledger.counters.__slots__)


def test_an_accepted_item_waits():
    """It is in the queue, known, and counted."""
    ledger = book()
    assert ledger.accept(key(7), b'bytes', 1.5) == (Acceptance.ACCEPTED, None)
    assert ledger.waiting == 1
    assert ledger.knows(key(7))
    assert ledger.counters.accepted == 1
    assert not ledger.empty


def test_an_item_keeps_its_payload_and_the_time_it_was_accepted():
    """What is given to the worker, and delivered, is what came in."""
    ledger = book()
    ledger.accept(key(7), b'bytes', 1.5)
    item = ledger.assign('a')
    assert item is not None
    assert (item.key, item.payload, item.accepted_at) == (key(7), b'bytes', 1.5)
    (fact,) = ledger.complete('a', 7, ['out']).delivered
    assert fact == (key(7), 'out', 1.5)


@pytest.mark.parametrize('phase', ['waiting', 'in work', 'completed', 'dropped', 'quarantined'])
def test_an_item_that_comes_twice_is_a_duplicate_wherever_it_is(phase: str):
    """The same stamp on the same input is counted, and never booked again."""
    ledger = book(1, max_attempts=1)
    if phase == 'dropped':
        ledger.flush()
    elif phase != 'waiting':
        assign(ledger, 'a')
    if phase == 'completed':
        complete(ledger, 'a', 0)
    if phase == 'quarantined':
        ledger.fail('a', 0, 'boom')
    before = (ledger.waiting, ledger.in_flight)
    assert accept(ledger, 0) is Acceptance.DUPLICATE
    assert ledger.counters.duplicates == 1
    assert ledger.counters.accepted == 1
    assert (ledger.waiting, ledger.in_flight) == before


def test_the_same_stamp_on_two_inputs_is_two_items():
    """An item is known by its input and its stamp together."""
    ledger = book()
    assert accept(ledger, 5, 'left') is Acceptance.ACCEPTED
    assert accept(ledger, 5, 'right') is Acceptance.ACCEPTED
    assert ledger.waiting == 2


def test_a_full_queue_drops_the_oldest_that_waits():
    """``drop_oldest``: the new item is accepted, the oldest is pushed out and counted."""
    ledger = book(2, queue_size=2)
    acceptance, pushed_out = ledger.accept(key(2), '', 0.0)
    assert acceptance is Acceptance.ACCEPTED
    assert pushed_out is not None
    assert pushed_out.key == key(0)
    assert ledger.counters.dropped == 1
    assert assign(ledger, 'a', 3) == [1, 2]


def test_items_in_work_take_no_room_in_the_queue_and_are_never_dropped():
    """Only what waits counts against the queue's size, and only that may be dropped."""
    ledger = book(2, queue_size=2)
    assert assign(ledger, 'a', 2) == [0, 1]
    for stamp in (2, 3, 4):
        accept(ledger, stamp)
    assert ledger.counters.dropped == 1
    assert [complete(ledger, 'a', stamp) for stamp in (0, 1)] == [['out 0'], ['out 1']]
    assert assign(ledger, 'a', 3) == [3, 4]


def test_items_to_be_redelivered_are_never_dropped():
    """What came back from a dead worker waits beside the queue, however full that is."""
    ledger = book(2, queue_size=2)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed', suspect=False)
    for stamp in (2, 3, 4):
        accept(ledger, stamp)
    assert ledger.waiting == 4
    assert assign(ledger, 'b', 5) == [0, 1, 3, 4]


def test_a_full_queue_that_blocks_refuses_and_forgets():
    """``block``: the item is refused, counted as that, and may be offered again."""
    ledger = book(2, queue_size=2, overflow=Overflow.BLOCK)
    assert ledger.accept(key(2), '', 0.0) == (Acceptance.REFUSED, None)
    assert not ledger.knows(key(2))
    assert (ledger.counters.refused, ledger.counters.dropped) == (1, 0)
    assert assign(ledger, 'a') == [0]
    assert accept(ledger, 2) is Acceptance.ACCEPTED


def test_a_duplicate_at_a_full_queue_is_a_duplicate():
    """It pushes nothing out, and is not asked to come again."""
    ledger = book(2, queue_size=2)
    assert accept(ledger, 1) is Acceptance.DUPLICATE
    assert ledger.counters.dropped == 0


def test_free_tells_the_room_in_the_queue():
    """The queue's size less what waits; items in work do not count."""
    ledger = book(2, queue_size=3)
    assert ledger.free == 1
    assign(ledger, 'a')
    assert ledger.free == 2
    ledger.queue_size = 0
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
    assert assign(ledger, 'c', 5) == [1]


def test_identities_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch):
    """Only so many finished items are remembered; those still here always are."""
    monkeypatch.setattr(Ledger, 'REMEMBERED', 3)
    ledger = book(10, queue_size=10)
    assert all(ledger.knows(key(stamp)) for stamp in range(10))
    assign(ledger, 'a')
    for stamp in range(1, 10):
        assign(ledger, 'b')
        ledger.complete('b', stamp)
    for stamp in range(10, 40):
        accept(ledger, stamp)
        assign(ledger, 'b')
        ledger.complete('b', stamp)
    assert ledger.knows(key(0)), 'in work, however long'
    assert not ledger.knows(key(1))
    assert ledger.knows(key(39))


# -- to the workers ------------------------------------------------------------------------------


def test_items_are_given_in_the_order_they_came():
    """First in, first out, whoever asks."""
    ledger = book(4)
    assert assign(ledger, 'a') + assign(ledger, 'b') + assign(ledger, 'a', 2) == [0, 1, 2, 3]


def test_nothing_is_given_when_nothing_waits():
    """An empty queue gives None."""
    assert book().assign('a') is None


def test_what_a_worker_holds_is_booked_on_it():
    """The load of each worker is known, and which item it has in work: the first it was given."""
    ledger = book(3)
    assign(ledger, 'a', 2)
    assign(ledger, 'b')
    assert [ledger.held_by(worker) for worker in 'abc'] == [2, 1, 0]
    first = ledger.in_work('a')
    assert first is not None
    assert first.key == key(0)
    assert ledger.in_work('c') is None
    assert (ledger.in_flight, ledger.waiting, ledger.outstanding) == (3, 0, 3)
    complete(ledger, 'a', 0)
    second = ledger.in_work('a')
    assert second is not None
    assert second.key == key(1)


def test_redeliveries_go_first_and_the_oldest_of_them_before_the_others():
    """What came back goes out again before anything new, in the order of the first time."""
    ledger = book(5)
    assign(ledger, 'a')
    assign(ledger, 'b', 2)
    ledger.release('b', 'killed', suspect=False)
    ledger.release('a', 'killed', suspect=False)
    assert assign(ledger, 'c', 5) == [0, 1, 2, 3, 4]
    assert ledger.counters.redelivered == 3


def test_without_fresh_only_redeliveries_are_given():
    """Where the stage downstream has no room, new items stay and returned ones go on."""
    ledger = book(2)
    assign(ledger, 'a')
    assert ledger.assign('b', fresh=False) is None
    ledger.release('a', 'killed')
    item = ledger.assign('b', fresh=False)
    assert item is not None
    assert item.key == key(0)


def test_two_items_of_one_stamp_are_never_open_at_once():
    """Answers carry only the stamp: the second input's item waits until the first is finished."""
    ledger = book()
    accept(ledger, 5, 'left')
    accept(ledger, 5, 'right')
    assert assign(ledger, 'a', 2) == [5]
    assert assign(ledger, 'b') == []
    assert complete(ledger, 'a', 5) == ['out 5']
    item = ledger.assign('b')
    assert item is not None
    assert item.key == key(5, 'right')


def test_a_worker_busy_with_a_finished_item_gets_no_other_of_that_stamp():
    """Its next answer belongs to the item it is busy with; another worker may have the new one."""
    ledger = book()
    accept(ledger, 5, 'left')
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b')
    assert complete(ledger, 'a', 5) == ['out 5']
    accept(ledger, 5, 'right')
    assert assign(ledger, 'b') == []
    assert assign(ledger, 'c') == [5]
    ledger.release('c', 'killed')
    assert assign(ledger, 'b') == []
    assert complete(ledger, 'b', 5) == [], 'the answer to the item from the left'
    assert assign(ledger, 'b') == [5]
    assert complete(ledger, 'b', 5) == ['out 5']
    assert ledger.empty


# -- answers -------------------------------------------------------------------------------------


def test_an_answered_item_is_completed_and_delivered():
    """The usual way: accepted, assigned, answered, passed on."""
    ledger = book(1)
    assign(ledger, 'a')
    assert complete(ledger, 'a', 0) == ['out 0']
    assert (ledger.counters.completed, ledger.counters.delivered) == (1, 1)
    assert ledger.held_by('a') == 0
    assert ledger.empty


def test_an_answer_without_output_completes_the_item():
    """Nothing to pass on is an answer, too."""
    ledger = book(1)
    assign(ledger, 'a')
    assert ledger.complete('a', 0) == Settled([], [])
    assert (ledger.counters.completed, ledger.counters.delivered) == (1, 0)
    assert ledger.empty


def test_outputs_leave_in_the_order_the_items_were_given():
    """An early answer is withheld until those before it are finished."""
    ledger = book(3)
    for worker in 'abc':
        assign(ledger, worker)
    assert complete(ledger, 'c', 2) == []
    assert complete(ledger, 'b', 1) == []
    assert (ledger.withheld, ledger.outstanding, ledger.in_flight) == (2, 3, 1)
    assert not ledger.empty
    assert complete(ledger, 'a', 0) == ['out 0', 'out 1', 'out 2']
    assert ledger.empty


def test_without_order_outputs_leave_as_they_come():
    """``ordered: false`` withholds nothing."""
    ledger = book(2, ordered=False)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assert complete(ledger, 'b', 1) == ['out 1']
    assert ledger.withheld == 0
    assert complete(ledger, 'a', 0) == ['out 0']


def test_an_item_without_output_lets_later_ones_pass():
    """A place in the order is released also by an answer that says nothing."""
    ledger = book(2)
    assign(ledger, 'a', 2)
    assert complete(ledger, 'a', 1) == []
    assert outputs(ledger.complete('a', 0)) == ['out 1']


def test_a_second_answer_is_dropped_and_counted():
    """The first answer wins."""
    ledger = book(1)
    assign(ledger, 'a')
    complete(ledger, 'a', 0)
    assert complete(ledger, 'a', 0) == []
    assert (ledger.counters.completed, ledger.counters.duplicate_answers) == (1, 1)


@pytest.mark.parametrize('worker', ['a', 'stranger'])
def test_an_answer_to_an_unknown_stamp_is_dropped_and_counted(worker: str):
    """Also one to an item that still waits: nobody was given it."""
    ledger = book(2)
    assign(ledger, 'a')
    assert complete(ledger, worker, 1) == []
    assert complete(ledger, worker, 99) == []
    assert ledger.counters.duplicate_answers == 2
    assert (ledger.waiting, ledger.in_flight) == (1, 1)


def test_a_late_answer_of_a_lost_worker_counts_before_redelivery():
    """It was on its way while its worker died: the item need not be done again."""
    ledger = book(1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assert complete(ledger, 'a', 0) == ['out 0']
    assert assign(ledger, 'b') == []
    assert ledger.empty


def test_a_late_answer_of_a_lost_worker_counts_after_redelivery():
    """The one who was given the item since answers a second time, which is dropped."""
    ledger = book(1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assert assign(ledger, 'b') == [0]
    assert complete(ledger, 'a', 0) == ['out 0']
    assert ledger.held_by('b') == 1, 'still busy with it'
    assert complete(ledger, 'b', 0) == []
    assert ledger.held_by('b') == 0
    assert (ledger.counters.completed, ledger.counters.duplicate_answers) == (1, 1)


def test_a_late_answer_that_could_mean_two_items_is_left_alone():
    """With several inputs a stamp alone does not say which item it was; it is done again."""
    ledger = book()
    accept(ledger, 5, 'left')
    accept(ledger, 5, 'right')
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assert complete(ledger, 'a', 5) == []
    assert assign(ledger, 'b') == [5]
    assert complete(ledger, 'b', 5) == ['out 5']


def test_a_late_answer_to_a_quarantined_item_is_dropped():
    """What was taken out of the stream stays out."""
    ledger = book(1, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assert complete(ledger, 'a', 0) == []
    assert (ledger.counters.completed, ledger.counters.quarantined) == (0, 1)


def test_a_retracted_item_never_was_one():
    """A source that has come to its end hands back what it was asked for; the order goes on."""
    ledger = book(2)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 1)
    assert outputs(ledger.retract('a', 0)) == ['out 1']
    assert (ledger.counters.accepted, ledger.counters.completed) == (1, 1)
    assert ledger.empty


def test_retracting_a_finished_item_changes_nothing():
    """It counts as an answer that came twice."""
    ledger = book(1)
    assign(ledger, 'a')
    complete(ledger, 'a', 0)
    assert ledger.retract('a', 0) == Settled([], [])
    assert (ledger.counters.accepted, ledger.counters.duplicate_answers) == (1, 1)


# -- back without an answer ----------------------------------------------------------------------


def test_an_item_given_back_was_not_tried():
    """However often it is given back, it is not suspected."""
    ledger = book(1, max_attempts=1)
    for _ in range(5):
        assert assign(ledger, 'a') == [0]
        ledger.give_back('a', 0)
    assert (ledger.waiting, ledger.in_flight, ledger.counters.quarantined) == (1, 0, 0)
    assert ledger.counters.redelivered == 4


def test_giving_back_what_one_does_not_hold_changes_nothing():
    """Neither another worker's item, nor a finished one, nor one given back already."""
    ledger = book(2)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 0)
    ledger.give_back('b', 1)
    ledger.give_back('a', 0)
    assert (ledger.waiting, ledger.in_flight) == (0, 1)
    ledger.give_back('a', 1)
    ledger.give_back('a', 1)
    assert (ledger.waiting, ledger.in_flight) == (1, 0)


def test_a_failed_item_is_tried_again_up_to_max_attempts():
    """The last attempt takes it to quarantine, with the cause of that attempt."""
    ledger = book(1, max_attempts=3)
    for cause in ('first', 'second'):
        assign(ledger, 'a')
        assert ledger.fail('a', 0, cause) == Settled([], [])
    assign(ledger, 'b')
    ((item, cause),) = ledger.fail('b', 0, 'third').quarantined
    assert (item.key, item.attempts, cause) == (key(0), 3, 'third')
    assert ledger.counters.quarantined == 1
    assert ledger.empty


def test_failing_what_one_does_not_hold_changes_nothing():
    """A late failure of a worker that was given up is no attempt."""
    ledger = book(1, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed', suspect=False)
    assign(ledger, 'b')
    assert ledger.fail('a', 0, 'late') == Settled([], [])
    assert (ledger.in_flight, ledger.counters.quarantined) == (1, 0)


def test_a_quarantined_item_releases_its_place():
    """The stream goes on without it."""
    ledger = book(2, max_attempts=1)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assert complete(ledger, 'b', 1) == []
    settled = ledger.fail('a', 0, 'boom')
    assert outputs(settled) == ['out 1']
    assert [each.item.key for each in settled.quarantined] == [key(0)]


def test_a_lost_worker_returns_all_it_held():
    """Nothing that it held is lost; nothing stays booked on it."""
    ledger = book(3)
    assign(ledger, 'a', 3)
    assert ledger.release('a', 'killed') == Settled([], [])
    assert (ledger.waiting, ledger.in_flight, ledger.held_by('a')) == (3, 0, 0)
    assert assign(ledger, 'b', 3) == [0, 1, 2]


def test_only_the_item_in_work_is_suspected():
    """Those merely prefetched go to others without a mark."""
    ledger = book(3, max_attempts=2)
    assign(ledger, 'a', 3)
    ledger.release('a', 'killed')
    items = [ledger.assign('b') for _ in range(3)]
    assert [item.attempts for item in items if item is not None] == [1, 0, 0]


def test_without_suspicion_no_attempt_is_counted():
    """A worker that was told to go is no witness against its item."""
    ledger = book(1, max_attempts=1)
    assign(ledger, 'a')
    assert ledger.release('a', 'shut down', suspect=False).quarantined == []
    item = ledger.assign('b')
    assert item is not None
    assert item.attempts == 0


def test_the_death_of_max_attempts_workers_is_poison():
    """The item that each of them had in work goes to quarantine, its neighbours do not."""
    ledger = book(3, max_attempts=2)
    assign(ledger, 'a', 2)
    ledger.release('a', 'signal 11')
    assign(ledger, 'b', 2)
    ((item, cause),) = ledger.release('b', 'signal 11').quarantined
    assert (item.key, item.attempts, cause) == (key(0), 2, 'signal 11')
    assert assign(ledger, 'c', 3) == [1, 2]


def test_nobody_is_suspected_while_a_worker_is_busy_with_a_finished_item():
    """What it had in work was finished by another's answer; the next one was only prefetched."""
    ledger = book(2, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed', suspect=False)
    assign(ledger, 'b', 2)
    complete(ledger, 'a', 0)
    assert ledger.release('b', 'killed').quarantined == []
    assert assign(ledger, 'c') == [1]


def test_releasing_an_idle_or_unknown_worker_changes_nothing():
    """There was nothing to take back."""
    ledger = book(1)
    assign(ledger, 'a')
    complete(ledger, 'a', 0)
    assert ledger.release('a', 'killed') == Settled([], [])
    assert ledger.release('stranger', 'killed') == Settled([], [])


def test_unordered_items_come_back_too():
    """Redelivery needs no places: without an order, first returned is first redelivered."""
    ledger = book(3, ordered=False)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed')
    assert assign(ledger, 'b', 3) == [0, 1, 2]


def test_an_item_tells_what_it_is():
    """Its repr, for logs: where it came from, its stamp, how often it was tried."""
    item = Item(key(7), b'', 0.0)
    item.attempts = 2
    assert repr(item) == 'Item(camera@7, attempts=2)'
