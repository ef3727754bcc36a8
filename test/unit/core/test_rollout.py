# SPDX-License-Identifier: Apache-2.0
"""Changed settings: under way, in effect, or given up."""

from __future__ import annotations

from worker_pipeline.core.rollout import Rollout

OLD = {'concurrency': 2, 'params.gain': 2.0}
NEW = {'concurrency': 2, 'params.gain': 3.0}


def test_a_change_is_under_way_until_every_worker_has_it():
    rollout = Rollout(OLD)
    rollout.change(NEW, 5.0)
    assert (rollout.is_under_way, rollout.changes, rollout.since) == (True, 'params.gain: 3.0', 5.0)
    rollout.completed()
    assert (rollout.is_under_way, rollout.changes) == (False, '')
    assert rollout.in_effect == NEW


def test_a_change_that_fails_returns_what_to_restore_and_says_what_holds():
    rollout = Rollout(OLD)
    rollout.change(NEW, 0.0)
    assert rollout.fail('worker_0', 'OSError: busy') == {'params.gain': 2.0}
    assert rollout.failure == (
        'params.gain: 3.0 is not in effect: worker_0 failed: OSError: busy; '
        'still in effect: params.gain: 2.0'
    )
    assert not rollout.is_under_way


def test_setting_the_values_back_keeps_the_failure_and_another_change_ends_it():
    rollout = Rollout(OLD)
    rollout.change(NEW, 0.0)
    rollout.fail('worker_0', 'busy')
    rollout.change(OLD, 1.0)
    assert rollout.failure
    rollout.change({**OLD, 'concurrency': 1}, 2.0)
    assert not rollout.failure


def test_a_second_change_before_the_first_is_in_effect_fails_to_what_held():
    """The first may have been wrong, too."""
    rollout = Rollout(OLD)
    rollout.change(NEW, 0.0)
    rollout.change({'concurrency': 1, 'params.gain': 4.0}, 1.0)
    assert rollout.fail('worker_0', 'busy') == OLD


def test_a_failure_is_forgotten_when_somebody_sets_a_parameter():
    """Also to the value that is in effect."""
    rollout = Rollout(OLD)
    rollout.change(NEW, 0.0)
    rollout.fail('worker_0', 'busy')
    rollout.acknowledge()
    assert not rollout.failure


def test_the_changes_that_ended_are_counted():
    """In effect or given up; one that was taken back before is none."""
    rollout = Rollout(OLD)
    rollout.completed()
    assert rollout.ended == 0, 'nothing was under way'
    rollout.change(NEW, 0.0)
    assert rollout.ended == 0
    rollout.completed()
    rollout.change(OLD, 1.0)
    rollout.fail('worker_0', 'busy')
    assert rollout.ended == 2
    rollout.change(OLD, 2.0)
    rollout.change(NEW, 3.0)
    rollout.completed()
    assert rollout.ended == 2
