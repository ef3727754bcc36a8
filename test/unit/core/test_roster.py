# SPDX-License-Identifier: Apache-2.0
"""Active workers and standbys."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from worker_pipeline.core.roster import Roster


def roster(places: int, names: str) -> Roster:
    made = Roster(places)
    for name in names:
        made.add(name)
    return made


def on_duty(of: Roster, names: str) -> str:
    return ''.join(name for name in names if of.is_active(name))


def test_the_first_workers_are_active():
    """The others are standbys."""
    assert on_duty(roster(2, 'abcd'), 'abcd') == 'ab'


def test_the_first_ready_standby_replaces_a_lost_worker():
    """The lost worker is a standby from then on."""
    made = roster(2, 'abcd')
    assert made.promote('a', ready=['d', 'c']) == 'c'
    assert on_duty(made, 'abcd') == 'bc'
    assert made.promote('c', ready=['a', 'd']) == 'a'
    assert on_duty(made, 'abcd') == 'ab'


@pytest.mark.parametrize('ready', [[], ['b'], ['a', 'b'], ['x']])
def test_without_a_ready_standby_a_lost_worker_stays_active(ready):
    """Active workers and unknown ones cannot replace it."""
    made = roster(2, 'abc')
    assert made.promote('a', ready) is None
    assert on_duty(made, 'abc') == 'ab'


def test_a_lost_standby_is_not_replaced():
    """All active workers are still there."""
    made = roster(1, 'abc')
    assert made.promote('b', ready=['c']) is None
    assert made.promote('x', ready=['c']) is None
    assert on_duty(made, 'abc') == 'a'


def test_after_a_removal_the_next_worker_added_is_active():
    """Standbys stay standbys."""
    made = roster(2, 'abc')
    made.remove('a')
    assert not made.is_active('a')
    made.add('d')
    assert on_duty(made, 'bcd') == 'bd'


def test_invalid_calls_are_rejected():
    """The error has the value and the allowed values."""
    with pytest.raises(ValueError, match='active_target: found 0; allowed: 1 or more'):
        Roster(0)
    with pytest.raises(ValueError, match="found 'a' twice; allowed: each worker once"):
        roster(2, 'aba')


@pytest.mark.parametrize(
    ('places', 'on', 'off', 'on_duty_then'),
    [(3, 'c', '', 'abc'), (5, 'cd', '', 'abcd'), (1, '', 'b', 'a'), (2, '', '', 'ab')],
)
def test_a_change_of_the_target_promotes_the_first_and_demotes_the_last(
    places, on, off, on_duty_then
):
    """Both are returned."""
    made = roster(2, 'abcd')
    made.active_target = places
    assert made.rebalance() == ([*on], [*off])
    assert on_duty(made, 'abcd') == on_duty_then
    assert made.rebalance() == ([], [])


class RosterMachine(RuleBasedStateMachine):
    """Random calls, checked against a plain model."""

    @initialize(places=st.integers(1, 4), names=st.integers(1, 8))
    def begin(self, places: int, names: int) -> None:
        self.places = places
        self.names = [f'worker_{index}' for index in range(names)]
        self.roster = roster(places, '')
        for name in self.names:
            self.roster.add(name)

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        lost = data.draw(st.sampled_from(self.names))
        ready = data.draw(st.sets(st.sampled_from(self.names)))
        before = {name for name in self.names if self.roster.is_active(name)}
        found = self.roster.promote(lost, ready)
        after = {name for name in self.names if self.roster.is_active(name)}
        able = ready - before
        if lost in before and able:
            assert found == next(name for name in self.names if name in able)
            assert after == before - {lost} | {found}
        else:
            assert found is None
            assert after == before

    @rule(places=st.integers(1, 9))
    def change_the_target(self, places: int) -> None:
        self.places = self.roster.active_target = places
        self.roster.rebalance()

    @rule(data=st.data())
    def replace_a_name(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.names))
        self.roster.remove(gone)
        self.names.remove(gone)
        self.names.append(gone)
        self.roster.add(gone)
        self.roster.rebalance()

    @invariant()
    def the_target_is_met(self) -> None:
        on_duty = [name for name in self.names if self.roster.is_active(name)]
        assert len(on_duty) == min(self.places, len(self.names))


TestRoster = RosterMachine.TestCase
