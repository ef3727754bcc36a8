# SPDX-License-Identifier: Apache-2.0
"""Which worker is replaced next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.rolling_update import (
    AddSurge,
    HandOver,
    RemoveSurge,
    Replace,
    SlotView,
    next_step,
)


def view(name: str, traits: str = '') -> SlotView:
    """``a`` active, ``d`` due, ``s`` the surge slot, ``x`` not settled."""
    return SlotView(name, 'a' in traits, 'x' not in traits, 'd' in traits, 's' in traits)


def step(*slots: str, has_surge: bool = True, may_surge: bool = True):
    views = [view(f'w{index}', traits) for index, traits in enumerate(slots)]
    return next_step(views, has_surge=has_surge, may_surge=may_surge)


def test_without_a_due_worker_nothing_happens():
    assert step('a', '') is None


def test_nothing_is_replaced_while_any_worker_is_unsettled():
    assert step('ad', 'ax') is None


def test_the_only_worker_hands_over_to_an_additional_one():
    """Which is started first, and goes when the slot has its new worker."""
    assert step('ad') == AddSurge()
    assert step('ad', 'sx') is None
    assert step('ad', 's') == HandOver('w0')
    assert step('d', 'as') == Replace('w0', interrupts=False)
    assert step('x', 'as') is None
    assert step('', 'as') == HandOver('w1')
    assert step('a', 's') == RemoveSurge()


def test_a_standby_is_replaced_first_and_then_takes_over():
    assert step('ad', 'd') == Replace('w1', interrupts=False)
    assert step('ad', '') == HandOver('w0')


def test_a_stage_that_may_have_no_additional_worker_is_interrupted():
    assert step('ad', has_surge=False) == Replace('w0', interrupts=True)


def test_after_a_failure_the_additional_worker_is_not_tried_again_at_once():
    assert step('ad', may_surge=False) is None


def test_an_additional_worker_that_cannot_start_is_removed_when_it_is_not_needed():
    assert step('a', 'sx') == RemoveSurge()


def test_an_additional_worker_with_an_older_configuration_is_replaced_before_it_takes_over():
    assert step('ad', 'sd') == Replace('w1', interrupts=False)


@given(
    active=st.integers(1, 4),
    standby=st.integers(0, 2),
    due=st.sets(st.integers(0, 5)),
    has_surge=st.booleans(),
)
def test_every_update_ends_and_nobody_is_interrupted_without_need(active, standby, due, has_surge):
    """Each step is carried out at once; every due worker is replaced exactly once."""
    slots = {f'w{i}': [i < active, i in due] for i in range(active + standby)}
    wanted = sorted(name for name, (_, is_due) in slots.items() if is_due)
    replaced: list[str] = []
    surge = ''
    for _ in range(60):
        views = [SlotView(n, a, True, d, n == surge) for n, (a, d) in slots.items()]
        found = next_step(views, has_surge=has_surge, may_surge=True)
        if found is None:
            break
        if isinstance(found, AddSurge):
            surge = 'surge'
            slots[surge] = [False, False]
        elif isinstance(found, HandOver):
            free = next(name for name, (a, d) in slots.items() if not a and not d)
            slots[found.name][0], slots[free][0] = False, True
        elif isinstance(found, Replace):
            assert found.interrupts == slots[found.name][0]
            assert not (found.interrupts and (has_surge or standby))
            replaced.append(found.name)
            slots[found.name][1] = False
        else:
            assert not slots.pop(surge)[0]
            surge = ''
        assert sum(is_active for is_active, _ in slots.values()) == active
    assert sorted(replaced) == wanted
    assert not surge
