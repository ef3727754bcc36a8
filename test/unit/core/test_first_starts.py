# SPDX-License-Identifier: Apache-2.0
"""First starts are limited in the whole pipeline, have an order, and are never held up for ever."""

from __future__ import annotations

import pytest

from worker_pipeline.core.first_starts import PATIENCE, FirstStarts, limit_for


class Slot:
    """A slot that awaits its first start, until a test says otherwise."""

    def __init__(self) -> None:
        self.started_at = 0.0
        self.is_starting = False
        self.awaits_first_start = True

    def start(self, now: float) -> None:
        self.awaits_first_start, self.is_starting, self.started_at = False, True, now


def pipeline(limit: int, stages: str, workers: int = 1, standbys: int = 0):
    """Return the first starts of a pipeline, and its slots by stage and name."""
    first = FirstStarts(limit, list(stages))
    slots = {}
    for stage in stages:
        for number in range(workers + standbys):
            slot = slots[stage, f'worker_{number}'] = Slot()
            first.add(stage, f'worker_{number}', slot, is_standby=number >= workers)
    return first, slots


def start_order(first: FirstStarts, slots: dict) -> list[str]:
    """Start one after the other, each ready before the next is asked for."""
    order = []
    while any(slot.awaits_first_start for slot in slots.values()):
        ((stage, name),) = [key for key in slots if may_start(first, slots, key)]
        slots[stage, name].start(1.0)
        slots[stage, name].is_starting = False
        order.append(stage + name.removeprefix('worker_'))
    return order


def may_start(first: FirstStarts, slots: dict, key: tuple[str, str], now: float = 1.0) -> bool:
    return slots[key].awaits_first_start and first.may_start(*key, now)


def test_no_more_start_at_once_than_the_limit():
    first, slots = pipeline(2, 'abc')
    assert [first.may_start(each, 'worker_0', 1.0) for each in 'abc'] == [True, True, False]
    slots['a', 'worker_0'].start(1.0)
    slots['b', 'worker_0'].start(1.0)
    assert not first.may_start('c', 'worker_0', 1.1)
    slots['a', 'worker_0'].is_starting = False
    assert first.may_start('c', 'worker_0', 1.2)


def test_each_stage_gets_a_worker_first_and_standbys_come_last():
    first, slots = pipeline(1, 'ab', workers=2, standbys=1)
    assert start_order(first, slots) == ['a0', 'b0', 'a1', 'b1', 'a2', 'b2']


def test_a_stage_with_one_worker_has_its_standby_after_the_second_worker_of_another():
    first, slots = pipeline(1, 'ab')
    for stage, is_standby in (('a', True), ('b', False)):
        slot = slots[stage, 'worker_1'] = Slot()
        first.add(stage, 'worker_1', slot, is_standby=is_standby)
    assert start_order(first, slots) == ['a0', 'b0', 'b1', 'a1']


def test_a_start_that_hangs_gives_its_place_to_the_next_one():
    first, slots = pipeline(1, 'ab')
    slots['a', 'worker_0'].start(1.0)
    assert not first.may_start('b', 'worker_0', 1.0 + PATIENCE - 0.01)
    assert first.may_start('b', 'worker_0', 1.0 + PATIENCE)


def test_a_replacement_that_starts_takes_a_place():
    first, slots = pipeline(1, 'ab')
    slots['a', 'worker_0'].start(1.0)
    slots['a', 'worker_0'].is_starting = False
    assert first.may_start('b', 'worker_0', 9.0)
    slots['a', 'worker_0'].start(9.0)
    assert not first.may_start('b', 'worker_0', 9.0)


def test_a_slot_that_needs_no_worker_any_more_holds_nobody_up():
    first, slots = pipeline(1, 'abc')
    slots['a', 'worker_0'].awaits_first_start = False
    first.remove('b', 'worker_0')
    assert first.may_start('c', 'worker_0', 1.0)


def test_a_slot_of_the_same_name_takes_the_place_of_the_one_that_is_gone():
    first, slots = pipeline(1, 'ab')
    slots['a', 'worker_0'].start(1.0)
    first.add('a', 'worker_0', Slot(), is_standby=False)
    assert first.may_start('a', 'worker_0', 1.1)
    assert not first.may_start('b', 'worker_0', 1.1)


def test_a_stage_knows_whether_one_of_its_own_is_waiting():
    first, slots = pipeline(1, 'ab')
    slots['a', 'worker_0'].start(1.0)
    assert (first.is_one_waiting('a'), first.is_one_waiting('b')) == (False, True)
    slots['b', 'worker_0'].start(1.0)
    assert not first.is_one_waiting('b')


@pytest.mark.parametrize(('processors', 'limit'), [(0, 2), (1, 2), (2, 4), (8, 16)])
def test_the_limit_follows_the_processors(processors, limit):
    assert limit_for(processors) == limit


def test_a_limit_below_1_is_refused():
    with pytest.raises(ValueError, match='limit: found 0; allowed: 1 or more'):
        FirstStarts(0, ['a'])
