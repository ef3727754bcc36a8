"""Places on duty, and who takes over."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from worker_pipeline.core.roster import Roster


def roster(places: int, names: str) -> Roster:
    made = Roster(places)
    for name in names:
        made.enlist(name)
    return made


def on_duty(of: Roster, names: str) -> str:
    return ''.join(name for name in names if of.is_on_duty(name))


def test_the_first_have_the_places():
    """The others stand by."""
    assert on_duty(roster(2, 'abcd'), 'abcd') == 'ab'


def test_one_that_is_lost_is_relieved_by_the_first_that_is_ready():
    """It stands by from then on."""
    made = roster(2, 'abcd')
    assert made.relieve('a', ready=['d', 'c']) == 'c'
    assert on_duty(made, 'abcd') == 'bc'
    assert made.relieve('c', ready=['a', 'd']) == 'a'
    assert on_duty(made, 'abcd') == 'ab'


@pytest.mark.parametrize('ready', [[], ['b'], ['a', 'b'], ['x']])
def test_without_anybody_who_stands_by_and_is_ready_it_keeps_its_place(ready):
    """Who is on duty already cannot take over, nor can a stranger."""
    made = roster(2, 'abc')
    assert made.relieve('a', ready) is None
    assert on_duty(made, 'abc') == 'ab'


def test_one_that_stands_by_has_no_place_to_give():
    """Its death needs nobody to take over."""
    made = roster(1, 'abc')
    assert made.relieve('b', ready=['c']) is None
    assert made.relieve('x', ready=['c']) is None
    assert on_duty(made, 'abc') == 'a'


def test_a_name_struck_off_leaves_a_place_for_the_next():
    """For one that comes; those that stand by stay as they are."""
    made = roster(2, 'abc')
    made.strike_off('a')
    assert not made.is_on_duty('a')
    made.enlist('d')
    assert on_duty(made, 'bcd') == 'bd'


def test_nonsense_is_refused():
    """In words that say what was found."""
    with pytest.raises(ValueError, match='places: found 0; allowed: 1 or more'):
        Roster(0)
    with pytest.raises(ValueError, match='a: is on the roster already'):
        roster(2, 'aba')


@pytest.mark.parametrize(
    ('places', 'on', 'off', 'on_duty_then'),
    [(3, 'c', '', 'abc'), (5, 'cd', '', 'abcd'), (1, '', 'b', 'a'), (2, '', '', 'ab')],
)
def test_other_places_are_filled_by_the_first_and_left_by_the_last(places, on, off, on_duty_then):
    """Who comes on duty, and who goes off it, is told."""
    made = roster(2, 'abcd')
    made.places = places
    assert made.balance() == ([*on], [*off])
    assert on_duty(made, 'abcd') == on_duty_then
    assert made.balance() == ([], [])


class RosterMachine(RuleBasedStateMachine):
    """Whatever happens, the places are filled by whom they should be."""

    @initialize(places=st.integers(1, 4), names=st.integers(1, 8))
    def begin(self, places: int, names: int) -> None:
        self.places = places
        self.names = [f'worker_{index}' for index in range(names)]
        self.roster = roster(places, '')
        for name in self.names:
            self.roster.enlist(name)

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        lost = data.draw(st.sampled_from(self.names))
        ready = data.draw(st.sets(st.sampled_from(self.names)))
        before = {name for name in self.names if self.roster.is_on_duty(name)}
        found = self.roster.relieve(lost, ready)
        after = {name for name in self.names if self.roster.is_on_duty(name)}
        able = ready - before
        if lost in before and able:
            assert found == next(name for name in self.names if name in able)
            assert after == before - {lost} | {found}
        else:
            assert found is None
            assert after == before

    @rule(places=st.integers(1, 9))
    def change_the_places(self, places: int) -> None:
        self.places = self.roster.places = places
        self.roster.balance()

    @rule(data=st.data())
    def replace_a_name(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.names))
        self.roster.strike_off(gone)
        self.names.remove(gone)
        self.names.append(gone)
        self.roster.enlist(gone)
        self.roster.balance()

    @invariant()
    def the_places_are_filled(self) -> None:
        on_duty = [name for name in self.names if self.roster.is_on_duty(name)]
        assert len(on_duty) == min(self.places, len(self.names))


TestRoster = RosterMachine.TestCase
