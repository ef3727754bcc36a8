# SPDX-License-Identifier: Apache-2.0
"""The checker of a storm's history finds every kind of fault, and no fault in a good one."""

from __future__ import annotations

import random

import pytest
from storm.history import GENESIS, Output, Verdict, chained, check, link

FED = range(10)


def applied(*numbers: int, after: Output | None = None) -> list[Output]:
    """Return the messages of the last stage when it applies these, one after the other."""
    state = after or Output(-1, 0, GENESIS)
    messages = []
    for number in numbers:
        state = Output(number, state.index + 1, link(state.chain, number))
        messages.append(state)
    return messages


def faults(verdict: Verdict) -> dict[str, tuple]:
    """Return the faults found."""
    return {name: getattr(verdict, name) for name in Verdict.FAULTS if getattr(verdict, name)}


def test_a_history_without_faults_is_good():
    """All items went in and came out, in order."""
    verdict = check(FED, applied(*FED))
    assert verdict.good
    assert not verdict.problems()
    assert verdict.delivered == tuple(FED)
    assert verdict.received_twice == verdict.not_received == ()


def test_the_expected_order_is_that_of_feeding():
    """Numbers have no order of their own."""
    fed = [5, 3, 9, 1]
    assert check(fed, applied(*fed)).good
    found = faults(check(fed, applied(5, 9, 3, 1)))
    assert found == {'out_of_order': (3,), 'applied_out_of_order': (3,)}


def test_missed_messages_are_proven_by_received_ones():
    """Index and chain count them."""
    messages = applied(*FED)
    verdict = check(FED, [messages[2], messages[3], messages[7], messages[9]])
    assert verdict.good
    assert verdict.not_received == (0, 1, 4, 5, 6, 8)
    assert verdict.delivered == tuple(FED)


def test_a_missed_last_message_is_not_proven():
    """No later message could prove it."""
    assert faults(check(FED, applied(*FED)[:-1])) == {'lost': (9,)}


def test_poison_in_quarantine_is_no_fault():
    """It may be announced twice."""
    verdict = check(FED, applied(0, 1, 2, 4, 5, 6, 8, 9), [3, 7, 3], {3, 7})
    assert verdict.good
    assert verdict.quarantined == (3, 7)


def test_poison_is_skipped_among_missed_messages_too():
    """A gap that includes poison proves the other items."""
    messages = applied(0, 1, 2, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, [messages[0], messages[-1]], [3], {3})
    assert verdict.good
    assert verdict.not_received == (1, 2, 4, 5, 6, 7, 8)


def test_a_lost_item_is_found():
    """The index continues as if it had never been fed."""
    assert faults(check(FED, applied(0, 1, 2, 4, 5, 6, 7, 8, 9))) == {'lost': (3,)}


def test_a_lost_item_is_found_among_missed_messages():
    """The chain shows which one it was."""
    messages = applied(0, 1, 2, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, [messages[0], messages[6], messages[8]])
    assert faults(verdict) == {'lost': (3,)}
    assert verdict.not_received == (1, 2, 4, 5, 6, 8)


def test_items_lost_at_the_beginning_and_the_end_are_found():
    """Also if there are no messages at all."""
    assert faults(check(FED, applied(2, 3, 4, 5, 6, 7))) == {'lost': (0, 1, 8, 9)}
    assert faults(check(FED, [])) == {'lost': tuple(FED)}


def test_an_item_applied_twice_is_found():
    """Both messages were received: the same number with different indices."""
    assert faults(check(FED, applied(0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9))) == {'doubled': (3,)}


def test_an_item_applied_again_later_is_found():
    """However much later."""
    assert faults(check(FED, applied(0, 1, 2, 3, 4, 5, 6, 2, 7, 8, 9))) == {'doubled': (2,)}


@pytest.mark.parametrize('missed', [{3}, {4}, {2, 3, 4, 5}], ids=str)
def test_an_item_applied_twice_is_found_among_missed_messages(missed: set[int]):
    """The index counts one more than there were items, and the chain shows which one."""
    messages = applied(0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, [each for place, each in enumerate(messages) if place not in missed])
    assert faults(verdict) == {'doubled': (3,)}


def test_many_missed_items_applied_twice_are_at_least_a_contradiction():
    """It is not known which ones, but one contradiction is reported."""
    messages = applied(0, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, [messages[0], messages[7], *messages[8:]])
    assert len(verdict.contradictions) == 1


def test_a_message_received_twice_is_not_an_item_applied_twice():
    """The last messages may be resent."""
    messages = applied(*FED)
    verdict = check(FED, [*messages[:5], messages[3], messages[4], *messages[5:], messages[9]])
    assert verdict.good
    assert verdict.received_twice == (3, 4, 9)


def test_items_applied_out_of_order_are_found_and_not_lost():
    """A late item is not a lost one."""
    verdict = check(FED, applied(0, 1, 3, 4, 2, 5, 6, 7, 8, 9))
    assert faults(verdict) == {'out_of_order': (2,), 'applied_out_of_order': (2,)}
    assert len(verdict.delivered) == len(FED)


@pytest.mark.parametrize('missed', [set(), {3}, {4}, {3, 4}, {2, 3, 4, 5}], ids=str)
def test_items_applied_in_another_order_than_they_leave_are_found(missed: set[int]):
    """They were received in order, but index and chain show that 4 was applied before 3."""
    messages = sorted(applied(0, 1, 2, 4, 3, 5, 6, 7, 8, 9))
    verdict = check(FED, [each for each in messages if each.number not in missed])
    assert faults(verdict) == {'applied_out_of_order': (3,)}
    assert verdict.not_received == tuple(missed)


def test_items_received_out_of_order_are_found():
    """They were applied in order."""
    messages = applied(*FED)
    verdict = check(FED, [*messages[:3], messages[4], messages[3], *messages[5:]])
    assert faults(verdict) == {'out_of_order': (3,)}
    assert not verdict.not_received


def test_a_stage_that_lost_its_state_is_found():
    """It counts from one again."""
    verdict = check(FED, applied(0, 1, 2, 3, 4) + applied(5, 6, 7, 8, 9))
    assert not verdict.lost
    assert not verdict.doubled
    (contradiction,) = verdict.contradictions
    assert 'continued from no state at all' in contradiction


def test_a_stage_that_lost_its_last_item_is_found():
    """It continued from the state before."""
    messages = applied(0, 1, 2, 3, 4)
    verdict = check(FED, messages + applied(5, 6, 7, 8, 9, after=messages[3]))
    (contradiction,) = verdict.contradictions
    assert 'continued from its state after item 3' in contradiction
    assert not verdict.lost


def test_a_stage_that_lost_its_state_is_found_among_missed_messages():
    """The next message received proves the items applied since."""
    messages = applied(0, 1, 2, 3, 4)
    later = applied(5, 6, 7, 8, 9, after=messages[1])
    verdict = check(FED, [*messages, later[2], *later[3:]])
    assert len(verdict.contradictions) == 1
    assert verdict.not_received == (5, 6)
    assert not verdict.lost


def test_a_chain_without_an_origin_is_reported_once():
    """Later messages are checked against the one before them."""
    messages = applied(0, 1, 2)
    odd = Output(3, 4, 'f' * 16)
    verdict = check(FED, [*messages, odd, *applied(4, 5, 6, 7, 8, 9, after=odd)])
    assert len(verdict.contradictions) == 1
    assert not verdict.good


def test_a_good_item_in_quarantine_is_found():
    """It is not lost, but it should not be there."""
    verdict = check(FED, applied(0, 1, 2, 4, 5, 6, 7, 8, 9), [3], set())
    assert faults(verdict) == {'wrongly_quarantined': (3,)}


def test_an_item_delivered_and_quarantined_is_found():
    """It must be one or the other."""
    verdict = check(FED, applied(*FED), [3], set())
    assert faults(verdict) == {'wrongly_quarantined': (3,), 'applied_and_quarantined': (3,)}


def test_poison_that_was_not_quarantined_is_found():
    """Whether it was lost or delivered."""
    without = applied(0, 1, 2, 4, 5, 6, 7, 8, 9)
    assert faults(check(FED, without, [], {3})) == {'poison_not_quarantined': (3,)}
    assert faults(check(FED, applied(*FED), [], {3})) == {'poison_not_quarantined': (3,)}


def test_poison_that_was_applied_and_quarantined_is_found():
    """Its change of the state should have been undone."""
    messages = applied(*FED)
    verdict = check(FED, [*messages[:3], *messages[4:]], [3], {3})
    assert faults(verdict) == {'applied_and_quarantined': (3,)}


def test_items_that_were_never_fed_are_found():
    """Wherever they came from."""
    messages = applied(0, 1, 2, 77, 3, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, messages, [88], {88}, ['a message without a number'])
    assert not verdict.lost
    assert len(verdict.strange) == 3


def test_problems_name_the_items():
    """Long lists are shortened."""
    (line,) = check(range(100), applied(*range(80))).problems()
    assert line == 'lost: 20 (80, 81, 82, 83, 84, 85, 86, 87, 88, 89, ...)'


@pytest.mark.parametrize('seed', range(30))
def test_any_single_fault_is_found_whatever_messages_were_missed(seed: int):
    """In random histories of a hundred items with gaps and repeats."""
    chance = random.Random(seed)
    fed = range(100)
    poison = set(chance.sample(range(10, 90), 3))
    good = [number for number in fed if number not in poison]

    def outside(messages: list[Output]) -> list[Output]:
        """Some are missed, some come twice in a row; the last is received."""
        received: list[Output] = []
        for each in messages[:-1]:
            received += [each] * chance.choice([0, 1, 1, 1, 1, 2])
        return [*received, messages[-1]]

    assert check(fed, outside(applied(*good)), poison, poison).good
    place = chance.randrange(1, len(good) - 1)
    lost = good[:place] + good[place + 1 :]
    assert good[place] in check(fed, outside(applied(*lost)), poison, poison).lost
    doubled = good[: place + 1] + good[place:]
    verdict = check(fed, outside(applied(*doubled)), poison, poison)
    assert good[place] in verdict.doubled or verdict.contradictions
    swapped = [*good[: place - 1], good[place], good[place - 1], *good[place + 1 :]]
    assert not check(fed, outside(applied(*swapped)), poison, poison).good
    before = applied(*good[:place])
    forgotten = before + applied(*good[place:], after=before[-2] if place > 1 else None)
    assert check(fed, outside(forgotten), poison, poison).good is False


def test_the_chain_depends_on_every_number_and_on_the_order():
    """Different histories have different chains."""
    chains = {chained(GENESIS, numbers) for numbers in ([], [1], [1, 2], [2, 1], [1, 1, 2], [2])}
    assert len(chains) == 6
