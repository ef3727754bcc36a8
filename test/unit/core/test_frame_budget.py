# SPDX-License-Identifier: Apache-2.0
"""Checks when a stage may begin an item that will yield one more frame, and the cost of that."""

from __future__ import annotations

from typing import Any

import pytest
from support.dispatching import BLOCK, DROP_OLDEST, FakeMemory

from worker_pipeline.core.frame_budget import FrameBudget
from worker_pipeline.core.graph import StageGraph
from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Ledger, Overflow

CHAIN = {'a': [], 'b': ['a'], 'c': ['b']}
FORK = {'a': [], 'b': ['a'], 'c': ['a']}


class Room:
    """A budget over real ledgers; each stage has one worker and frames of 10 bytes."""

    def __init__(
        self,
        inputs: dict[str, list[str]],
        limit: int,
        *,
        overflow: Overflow = DROP_OLDEST,
        sizes: dict[str, int] | None = None,
    ) -> None:
        self.memory = FakeMemory(limit)
        self.ledgers = {name: Ledger(queue_size=10, overflow=overflow) for name in inputs}
        self.memory.ledgers = list(self.ledgers.values())
        self.pools: dict[str, list[str]] = {name: ['w0'] for name in inputs}
        self.budget = FrameBudget(StageGraph(inputs), self.ledgers, self.pools, self.memory)
        for name in inputs:
            self.budget.record_output(name, (sizes or {}).get(name, 10))

    def queue(self, stage: str, count: int = 1) -> None:
        """Queue items; each refers to a frame of its own, of 10 bytes."""
        for _ in range(count):
            self.queue_frames(stage, f'{stage} {self.ledgers[stage].last_number}')

    def queue_frames(self, stage: str, *frames: str | None) -> None:
        """Queue items that refer to these frames; None: to none."""
        ledger = self.ledgers[stage]
        for frame in frames:
            ledger.accept(ItemKey('x', ledger.last_number), frame, 0.0)

    def queued(self, stage: str) -> list[str | None]:
        return list(self.ledgers[stage].queued_payloads)

    def start(self, stage: str, count: int = 1) -> None:
        """Queue items and assign them."""
        self.queue(stage, count)
        for _ in range(count):
            assert self.ledgers[stage].assign('w0')

    def state(self) -> Any:
        ledgers = {name: each.snapshot(payloads=True) for name, each in self.ledgers.items()}
        blocked, dropped = set(self.budget.blocked), dict(self.budget.dropped)
        return ledgers, blocked, dropped, self.memory.needed


# -- how much is needed --------------------------------------------------------------------------


def test_a_stage_without_frames_always_has_room():
    """No output of it took frame memory yet, however full that is."""
    room = Room(CHAIN, limit=5, sizes={'a': 0})
    room.memory.needed = 100
    assert room.budget.has_room('a')
    assert room.budget.make_room('a')


def test_without_frame_memory_there_is_nothing_to_wait_for():
    """A limit of zero means that all frames are sent inline."""
    room = Room(CHAIN, limit=0)
    assert room.budget.has_room('a')
    assert room.budget.make_room('a')


def test_a_frame_that_fits_exactly_has_room():
    """One byte less, and it has none."""
    room = Room({'a': []}, limit=30)
    room.memory.needed = 20
    assert room.budget.has_room('a')
    room.memory.limit = 29
    assert not room.budget.has_room('a')


def test_the_largest_output_of_a_stage_counts():
    """Smaller ones after it change nothing."""
    room = Room({'a': []}, limit=40)
    for size in (40, 5):
        room.budget.record_output('a', size)
    assert room.budget.has_room('a')
    room.memory.needed = 1
    assert not room.budget.has_room('a')


def test_started_items_are_committed_to_one_frame_each():
    """Returned items too: they will be started again. Queued and finished items are not."""
    room = Room({'a': []}, limit=100)
    room.start('a', 3)
    room.queue('a')
    assert room.budget.committed_bytes('a') == 30
    room.ledgers['a'].nack('w0', 2)
    assert room.budget.committed_bytes('a') == 30
    room.ledgers['a'].complete('w0', 3, ['awaits its order'])
    assert room.budget.committed_bytes('a') == 20


def restart(ledger: Ledger, payloads: dict[int, str]) -> Ledger:
    """Return a ledger that continues after a crash, with these messages, by item number."""
    later = Ledger(queue_size=10)
    later.restore(ledger.snapshot(payloads=False))
    later.resume(payloads)
    return later


def test_started_items_without_a_message_are_committed_to_the_frame_they_came_with():
    """A worker may pass it on in an answer that a new manager has not had; the largest counts."""
    sizes = {'a': 30, 'b': 20, 'c': 0, 'd': 5}
    room = Room({**CHAIN, 'd': ['c']}, limit=200, sizes=sizes)
    room.start('c', 3)
    room.start('d', 1)
    for name in ('c', 'd'):
        room.ledgers[name] = restart(room.ledgers[name], {2: 'c 1'})
    room.budget = FrameBudget(room.budget._graph, room.ledgers, room.pools, room.memory)
    for name, size in sizes.items():
        room.budget.record_output(name, size)
    assert room.budget.committed_bytes('c') == 2 * 30, 'of the other one the manager knows'
    assert room.budget.committed_bytes('d') == 30 + 5
    room.ledgers['c'].complete('w0', 1, ['its frame'])
    room.ledgers['d'].complete('w0', 1, ['its frame'])
    assert room.budget.committed_bytes('c') == 30
    assert room.budget.committed_bytes('d') == 0


@pytest.mark.parametrize('stage', ['a', 'b', 'c'])
def test_commitments_of_connected_stages_count_in_both_directions(stage: str):
    """Each started item of a linked stage may still take a frame before this one does."""
    room = Room(CHAIN, limit=1000)
    for each in CHAIN:
        room.start(each)
    room.memory.needed = 1000 - 3 * 10 - 10
    assert room.budget.has_room(stage)
    room.memory.needed += 1
    assert not room.budget.has_room(stage)


def test_commitments_of_unconnected_stages_do_not_count():
    """Their frames are counted when they exist."""
    room = Room({'a': [], 'b': []}, limit=20)
    room.start('b')
    room.memory.needed = 10
    assert room.budget.has_room('a')


def test_room_is_reserved_for_one_output_of_each_idle_stage_downstream():
    """It releases its input only with its output; a started item's is committed anyway."""
    room = Room(CHAIN, limit=30)
    assert room.budget.has_room('a')
    room.memory.limit = 29
    assert not room.budget.has_room('a')
    assert room.budget.has_room('b')
    room.start('c')
    room.memory.needed = 0
    assert not room.budget.has_room('a')
    room.memory.limit = 30
    assert room.budget.has_room('a')


def test_no_room_is_reserved_for_stages_upstream():
    """They hold no frame of this stage."""
    room = Room(CHAIN, limit=10)
    assert room.budget.has_room('c')
    assert not room.budget.has_room('b')


def test_asking_for_room_changes_nothing():
    """Neither ledgers nor memory; only ``make_room`` drops items and marks a stage as blocked."""
    room = Room(FORK, limit=25)
    room.queue('b', 2)
    room.queue('c', 2)
    before = room.state()
    assert not room.budget.has_room('a')
    assert room.state() == before


# -- making room ---------------------------------------------------------------------------------


def test_nothing_is_dropped_where_the_frame_fits():
    """Full queues of followers stay as they are."""
    room = Room({'a': [], 'b': ['a']}, limit=70)
    room.queue('b', 5)
    before = room.state()
    assert room.budget.make_room('a')
    assert room.state() == before


def test_followers_drop_their_oldest_items_one_by_one_until_the_frame_fits():
    """No more than needed; the drops are counted."""
    room = Room({'a': [], 'b': ['a']}, limit=50, sizes={'b': 0})
    room.queue('b', 5)
    assert room.budget.make_room('a')
    assert room.ledgers['b'].queued == 4
    assert room.budget.dropped == {'a': 0, 'b': 1}
    room.memory.limit = 30
    assert room.budget.make_room('a')
    assert room.ledgers['b'].queued == 2
    assert room.budget.dropped == {'a': 0, 'b': 3}
    item = room.ledgers['b'].assign('w0')
    assert item is not None
    assert item.number == 4, 'the oldest were dropped'


def test_only_followers_that_drop_their_oldest_item_drop_any():
    """A follower that blocks keeps its items, and so does a stage further down."""
    room = Room({'a': [], 'b': ['a'], 'c': ['a'], 'd': ['b']}, limit=5, sizes={})
    room.ledgers['b'].overflow = BLOCK
    for stage in ('b', 'c', 'd'):
        room.queue(stage, 2)
    assert room.budget.make_room('a')
    assert {name: each.queued for name, each in room.ledgers.items()} == {
        'a': 0,
        'b': 2,
        'c': 0,
        'd': 2,
    }
    assert room.budget.dropped == {'a': 0, 'b': 0, 'c': 2, 'd': 0}


def test_items_that_started_are_not_dropped():
    """Their frames are released when they are finished; until then the stage is blocked."""
    room = Room({'a': [], 'b': ['a']}, limit=20)
    room.start('b', 2)
    assert not room.budget.make_room('a')
    assert room.ledgers['b'].started == 2
    assert room.budget.dropped['b'] == 0


@pytest.mark.parametrize('stage', ['a', 'b', 'c'])
def test_a_stage_is_blocked_while_a_connected_stage_has_started_items(stage: str):
    """They will release frames on their own."""
    room = Room(CHAIN, limit=10, overflow=BLOCK)
    room.start(stage)
    assert not room.budget.make_room('b')
    assert room.budget.blocked == {'b'}


def test_a_stage_is_blocked_while_a_connected_stage_waits_for_a_worker():
    """Its items will start once a worker is available."""
    room = Room(CHAIN, limit=10, overflow=BLOCK)
    room.queue('c')
    room.pools['c'].clear()
    assert not room.budget.make_room('a')
    assert room.budget.blocked == {'a'}


def test_an_item_begins_inline_where_no_connected_stage_can_progress():
    """Waiting would never end: the stages that have items wait for room themselves."""
    room = Room({**CHAIN, 'other': []}, limit=10, overflow=BLOCK)
    room.queue('b')
    room.queue('c')
    room.start('other')
    assert not room.budget.has_room('a')
    assert room.budget.make_room('a')
    assert room.budget.blocked == set()


def test_a_stage_without_workers_and_without_items_holds_up_nobody():
    """It has nothing to progress with."""
    room = Room(CHAIN, limit=5, overflow=BLOCK)
    room.pools['c'].clear()
    assert room.budget.make_room('a')


def test_a_blocked_stage_is_released_when_it_gets_room():
    """The mark is renewed each time it asks."""
    room = Room({'a': [], 'b': ['a']}, limit=30)
    room.start('b', 2)
    assert not room.budget.make_room('a')
    assert not room.budget.make_room('a')
    assert room.budget.blocked == {'a'}
    room.ledgers['b'].complete('w0', 1)
    room.memory.needed = 10
    assert room.budget.make_room('a')
    assert room.budget.blocked == set()


def test_an_item_whose_frame_a_blocking_queue_needs_is_not_dropped():
    """That would free nothing. A younger item is dropped, whose frame nothing else needs."""
    room = Room(FORK, limit=40, sizes={'b': 0, 'c': 0})
    room.ledgers['b'].overflow = BLOCK
    room.queue_frames('b', '1', '2', '3')
    room.queue_frames('c', '1', '2', '3', '4', '5')
    assert room.budget.make_room('a')
    assert room.queued('c') == ['1', '2', '3']
    assert room.budget.dropped == {'a': 0, 'b': 0, 'c': 2}


def test_an_item_whose_frame_another_stage_is_processing_is_not_dropped():
    """The stage waits until that one has released it."""
    room = Room(FORK, limit=10, sizes={'b': 0, 'c': 0})
    for stage in ('b', 'c'):
        room.queue_frames(stage, '1')
    assert room.ledgers['b'].assign('w0')
    assert not room.budget.make_room('a')
    assert room.queued('c') == ['1']
    assert room.budget.blocked == {'a'}


def test_an_item_whose_frame_is_in_an_output_that_awaits_its_order_is_not_dropped():
    """A stage in between has passed the frame on, before an earlier item was finished."""
    room = Room({'a': [], 'b': ['a'], 'c': ['a']}, limit=20, sizes={'b': 0, 'c': 0})
    room.queue_frames('b', '1', '2')
    room.queue_frames('c', '2')
    for _ in range(2):
        room.ledgers['b'].assign('w0')
    room.ledgers['b'].complete('w0', 2, ['2'])
    assert room.ledgers['b'].awaiting_order == 1
    assert not room.budget.make_room('a')
    assert room.queued('c') == ['2']


def test_a_frame_further_down_the_pipeline_is_needed_too():
    """A stage may pass its input on."""
    room = Room({'a': [], 'b': ['a'], 'c': ['b']}, limit=10, sizes={'b': 0, 'c': 0})
    room.queue_frames('b', '1')
    room.queue_frames('c', '1')
    assert room.budget.make_room('a'), 'nothing can progress: the frame is sent inline'
    assert room.queued('b') == ['1']
    assert room.budget.dropped == {'a': 0, 'b': 0, 'c': 0}


def test_a_frame_of_a_stage_upstream_is_needed_there_and_beside_it():
    """The stage may pass on some of its inputs, and make frames of others."""
    room = Room({'x': [], 'a': ['x'], 'b': ['a'], 'z': ['x']}, limit=10, sizes={'b': 0, 'z': 0})
    room.ledgers['z'].overflow = BLOCK
    room.queue_frames('z', '1')
    room.queue_frames('b', '1')
    assert room.budget.make_room('a')
    assert room.queued('b') == ['1']


def test_items_of_one_frame_are_dropped_together_from_all_queues():
    """One alone would free nothing; items of other frames stay, though some are older."""
    room = Room({**FORK, 'd': ['a']}, limit=30, sizes={'b': 0, 'c': 0, 'd': 0})
    room.ledgers['d'].overflow = BLOCK
    room.queue_frames('d', '1')
    room.queue_frames('b', '1', '2', '3')
    room.queue_frames('c', '1', '2', '2')
    assert room.budget.make_room('a')
    assert room.queued('b') == ['1', '3']
    assert room.queued('c') == ['1']
    assert room.budget.dropped == {'a': 0, 'b': 1, 'c': 2, 'd': 0}


def test_the_oldest_frame_of_any_queue_is_dropped_first():
    """An item's place in its own queue is its age."""
    room = Room(FORK, limit=30, sizes={'b': 0, 'c': 0})
    room.queue_frames('b', None, '1')
    room.queue_frames('c', '2', '3')
    assert room.budget.make_room('a')
    assert (room.queued('b'), room.queued('c')) == ([None, '1'], ['3'])


def test_an_item_without_a_frame_is_not_dropped():
    """It was sent inline, and takes no frame memory."""
    room = Room({'a': [], 'b': ['a']}, limit=10, sizes={'b': 0})
    room.queue_frames('b', None, '1', None)
    assert room.budget.make_room('a')
    assert room.queued('b') == [None, None]
