"""The checker of a storm's history finds every kind of fault, and none where there is none."""

from __future__ import annotations

import random

import pytest
from storm.history import GENESIS, Heard, Verdict, chained, check, link

FED = range(10)


def applied(*numbers: int, after: Heard | None = None) -> list[Heard]:
    """What the last stage says when it applies these, one after the other."""
    state = after or Heard(-1, 0, GENESIS)
    told = []
    for number in numbers:
        state = Heard(number, state.index + 1, link(state.chain, number))
        told.append(state)
    return told


def faults(verdict: Verdict) -> dict[str, tuple]:
    """The faults found, and nothing else."""
    return {name: getattr(verdict, name) for name in Verdict.FAULTS if getattr(verdict, name)}


def test_a_history_without_fault_is_good():
    """All in, all out, in order."""
    verdict = check(FED, applied(*FED))
    assert verdict.good
    assert not verdict.problems()
    assert verdict.delivered == tuple(FED)
    assert verdict.heard_twice == verdict.not_heard == ()


def test_the_order_is_that_of_feeding():
    """Numbers are names."""
    fed = [5, 3, 9, 1]
    assert check(fed, applied(*fed)).good
    found = faults(check(fed, applied(5, 9, 3, 1)))
    assert found == {'out_of_order': (3,), 'applied_out_of_order': (3,)}


def test_what_was_not_heard_is_proven_by_what_was():
    """The listener missed some, but index and chain count them."""
    told = applied(*FED)
    verdict = check(FED, [told[2], told[3], told[7], told[9]])
    assert verdict.good
    assert verdict.not_heard == (0, 1, 4, 5, 6, 8)
    assert verdict.delivered == tuple(FED)


def test_the_last_one_unheard_is_not_proven():
    """Nothing comes after it that could tell."""
    assert faults(check(FED, applied(*FED)[:-1])) == {'lost': (9,)}


def test_poison_in_quarantine_is_no_fault():
    """It was to end there; announced twice, it is there once."""
    verdict = check(FED, applied(0, 1, 2, 4, 5, 6, 8, 9), [3, 7, 3], {3, 7})
    assert verdict.good
    assert verdict.quarantined == (3, 7)


def test_poison_is_skipped_in_what_was_not_heard_too():
    """A gap with poison within proves the others."""
    told = applied(0, 1, 2, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, [told[0], told[-1]], [3], {3})
    assert verdict.good
    assert verdict.not_heard == (1, 2, 4, 5, 6, 7, 8)


def test_a_lost_item_is_found():
    """The index goes on as if it had never been."""
    assert faults(check(FED, applied(0, 1, 2, 4, 5, 6, 7, 8, 9))) == {'lost': (3,)}


def test_a_lost_item_is_found_among_the_unheard():
    """Which of those it was, the chain tells."""
    told = applied(0, 1, 2, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, [told[0], told[6], told[8]])
    assert faults(verdict) == {'lost': (3,)}
    assert verdict.not_heard == (1, 2, 4, 5, 6, 8)


def test_items_lost_at_the_beginning_and_the_end_are_found():
    """Also when nothing at all came."""
    assert faults(check(FED, applied(2, 3, 4, 5, 6, 7))) == {'lost': (0, 1, 8, 9)}
    assert faults(check(FED, [])) == {'lost': tuple(FED)}


def test_an_item_applied_twice_is_found():
    """Heard both times: the same number with another index."""
    assert faults(check(FED, applied(0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9))) == {'doubled': (3,)}


def test_an_item_applied_again_later_is_found():
    """However much later."""
    assert faults(check(FED, applied(0, 1, 2, 3, 4, 5, 6, 2, 7, 8, 9))) == {'doubled': (2,)}


@pytest.mark.parametrize('unheard', [{3}, {4}, {2, 3, 4, 5}], ids=str)
def test_an_item_applied_twice_is_found_among_the_unheard(unheard: set[int]):
    """The index counts one more than there were items, and the chain tells which."""
    told = applied(0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, [each for place, each in enumerate(told) if place not in unheard])
    assert faults(verdict) == {'doubled': (3,)}


def test_many_applied_twice_unheard_are_a_contradiction_at_least():
    """Which ones is not found out; that something is wrong is, once."""
    told = applied(0, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, [told[0], told[7], *told[8:]])
    assert len(verdict.contradictions) == 1


def test_a_message_heard_twice_is_not_an_item_applied_twice():
    """The last messages may come again; they are the same messages."""
    told = applied(*FED)
    verdict = check(FED, [*told[:5], told[3], told[4], *told[5:], told[9]])
    assert verdict.good
    assert verdict.heard_twice == (3, 4, 9)


def test_items_applied_out_of_order_are_found_and_not_lost():
    """One that comes late was late, not lost."""
    verdict = check(FED, applied(0, 1, 3, 4, 2, 5, 6, 7, 8, 9))
    assert faults(verdict) == {'out_of_order': (2,), 'applied_out_of_order': (2,)}
    assert len(verdict.delivered) == len(FED)


@pytest.mark.parametrize('unheard', [set(), {3}, {4}, {3, 4}, {2, 3, 4, 5}], ids=str)
def test_items_applied_in_another_order_than_they_leave_are_found(unheard: set[int]):
    """Heard in order, but index and chain tell that 4 was applied before 3."""
    told = sorted(applied(0, 1, 2, 4, 3, 5, 6, 7, 8, 9))
    verdict = check(FED, [each for each in told if each.number not in unheard])
    assert faults(verdict) == {'applied_out_of_order': (3,)}
    assert verdict.not_heard == tuple(unheard)


def test_items_heard_out_of_order_are_found():
    """Applied in order, and passed on in another."""
    told = applied(*FED)
    verdict = check(FED, [*told[:3], told[4], told[3], *told[5:]])
    assert faults(verdict) == {'out_of_order': (3,)}
    assert not verdict.not_heard


def test_a_stage_that_forgot_everything_is_found():
    """It counts from one again."""
    verdict = check(FED, applied(0, 1, 2, 3, 4) + applied(5, 6, 7, 8, 9))
    assert not verdict.lost
    assert not verdict.doubled
    (told,) = verdict.contradictions
    assert 'went on from no state at all' in told


def test_a_stage_that_forgot_the_last_item_is_found():
    """Its state was the one before."""
    told = applied(0, 1, 2, 3, 4)
    verdict = check(FED, told + applied(5, 6, 7, 8, 9, after=told[3]))
    (said,) = verdict.contradictions
    assert 'went on from its state after item 3' in said
    assert not verdict.lost


def test_a_stage_that_forgot_is_found_where_it_was_not_heard():
    """The first that is heard of it again proves what it has applied since."""
    told = applied(0, 1, 2, 3, 4)
    later = applied(5, 6, 7, 8, 9, after=told[1])
    verdict = check(FED, [*told, later[2], *later[3:]])
    assert len(verdict.contradictions) == 1
    assert verdict.not_heard == (5, 6)
    assert not verdict.lost


def test_a_chain_that_leads_from_nowhere_is_a_contradiction_told_once():
    """What comes after is judged by what came before it."""
    told = applied(0, 1, 2)
    odd = Heard(3, 4, 'f' * 16)
    verdict = check(FED, [*told, odd, *applied(4, 5, 6, 7, 8, 9, after=odd)])
    assert len(verdict.contradictions) == 1
    assert not verdict.good


def test_an_innocent_item_in_quarantine_is_found():
    """It is not lost, but it should not be there."""
    verdict = check(FED, applied(0, 1, 2, 4, 5, 6, 7, 8, 9), [3], set())
    assert faults(verdict) == {'wrongly_quarantined': (3,)}


def test_an_item_delivered_and_quarantined_is_found():
    """One or the other."""
    verdict = check(FED, applied(*FED), [3], set())
    assert faults(verdict) == {'wrongly_quarantined': (3,), 'applied_and_quarantined': (3,)}


def test_poison_that_was_not_quarantined_is_found():
    """Whether it vanished or came through."""
    without = applied(0, 1, 2, 4, 5, 6, 7, 8, 9)
    assert faults(check(FED, without, [], {3})) == {'poison_not_quarantined': (3,)}
    assert faults(check(FED, applied(*FED), [], {3})) == {'poison_not_quarantined': (3,)}


def test_poison_that_was_applied_and_quarantined_is_found():
    """Its trace in the state was to be undone with its worker."""
    told = applied(*FED)
    verdict = check(FED, [*told[:3], *told[4:]], [3], {3})
    assert faults(verdict) == {'applied_and_quarantined': (3,)}


def test_what_was_never_fed_is_strange():
    """From wherever it came."""
    told = applied(0, 1, 2, 77, 3, 4, 5, 6, 7, 8, 9)
    verdict = check(FED, told, [88], {88}, ['a message without a number'])
    assert not verdict.lost
    assert len(verdict.strange) == 3


def test_problems_name_the_items():
    """A person reads them."""
    (line,) = check(range(100), applied(*range(80))).problems()
    assert line == 'lost: 20 (80, 81, 82, 83, 84, 85, 86, 87, 88, 89, ...)'


@pytest.mark.parametrize('seed', range(30))
def test_any_single_fault_is_found_whatever_else_was_not_heard(seed: int):
    """Random histories of a hundred items with gaps and repeats, good ones and bad ones."""
    chance = random.Random(seed)
    fed = range(100)
    poison = set(chance.sample(range(10, 90), 3))
    good = [number for number in fed if number not in poison]

    def outside(told: list[Heard]) -> list[Heard]:
        """Some are missed, some come twice in a row; the last is heard."""
        heard: list[Heard] = []
        for each in told[:-1]:
            heard += [each] * chance.choice([0, 1, 1, 1, 1, 2])
        return [*heard, told[-1]]

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
    """So it cannot agree by accident."""
    chains = {chained(GENESIS, numbers) for numbers in ([], [1], [1, 2], [2, 1], [1, 1, 2], [2])}
    assert len(chains) == 6
