# SPDX-License-Identifier: Apache-2.0
"""The services flush, which drops queued items, and drain, which finishes all items."""

from __future__ import annotations

from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.testing import wait_for

# A stage for each test. The tests leave them active and empty.
SHARED = {
    'flushed': stage('Echo', queue_size=100),
    'first': stage('Work', queue_size=1000, params={'seconds': 0.005}),
    'last': stage('Work', input='first', queue_size=1000, params={'seconds': 0.01}),
    'never_empty': stage('Echo', queue_size=10_000),
    'paused': stage('Echo', queue_size=100),
}


def feed_a_paused_stage(observer, name: str, count: int):
    """Pause a stage, feed it, and return the list of its outputs."""
    answers = observer.collect(f'{name}/output')
    feed = observer.feeder(f'{name}/input')
    observer.wait_until_active(name, 1)
    assert observer.change_state(name, 'deactivate')
    for number in range(count):
        feed.publish(header(number))
    wait_for(lambda: observer.count(name, 'queued') == count, f'{count} queued items')
    return answers


def test_flush_drops_the_queued_items(shared):
    """It returns their number; later items pass."""
    observer = shared.observer
    # Once a response has come, no later one is lost: what it says is compared.
    assert observer.trigger('flushed/flush') == (True, 'dropped 0 items')
    answers = feed_a_paused_stage(observer, 'flushed', 50)
    assert observer.trigger('flushed/flush') == (True, 'dropped 50 items')
    assert observer.trigger('flushed/flush') == (True, 'dropped 0 items')
    wait_for(lambda: observer.count('flushed', 'dropped') == 50, 'that it is counted')
    assert observer.change_state('flushed', 'activate')
    observer.feeder('flushed/input').publish(header(50))
    wait_for(lambda: answers, 'the next item')
    assert [number_of(each) for each in answers] == [50]


def test_drain_answers_when_the_present_items_are_finished(shared):
    """That of a stage, and that of the manager for all stages."""
    observer = shared.observer
    observer.collect('last/output')
    feed = observer.feeder('first/input')
    for name in ('first', 'last'):
        observer.wait_until_active(name, 1)
    for number in range(50):
        feed.publish(header(number))
    wait_for(lambda: observer.count('first', 'accepted') == 50, 'the items')
    assert observer.trigger('first/drain') == (True, 'drained')
    for number in range(50, 100):
        feed.publish(header(number))
    wait_for(lambda: observer.count('first', 'accepted') == 100, 'the items')
    assert observer.trigger('manager/drain') == (True, 'drained')
    # Diagnostics from before the response may still be on their way.
    wait_for(lambda: observer.count('last', 'completed') == 100, 'the count')


def test_drain_does_not_wait_for_later_items(shared):
    """A stage that is never empty can be drained."""
    observer, manager = shared.observer, shared.manager
    answers = observer.collect('never_empty/output')
    feed = observer.feeder('never_empty/input')
    observer.wait_until_active('never_empty', 1)
    assert observer.trigger('never_empty/drain') == (True, 'drained')
    fed = 0

    def feed_more(count: int) -> None:
        nonlocal fed
        for _ in range(count):
            feed.publish(header(fed))
            fed += 1

    feed_more(20)
    asked = observer.ask_to_trigger('never_empty/drain')
    while not asked.done():
        assert fed < 9_000, f'no answer while {len(answers)} were answered\n{manager.output}'
        # For each that is answered another two come.
        answered = len(answers)
        wait_for(lambda answered=answered: len(answers) > answered, 'answers', seen=manager.show)
        feed_more(2 * (len(answers) - answered))
    assert asked.result().success
    assert len(answers) < fed
    wait_for(lambda: len(answers) == fed, 'all answers')


def test_a_paused_stage_cannot_be_drained(shared):
    """The request is rejected with a reason."""
    observer = shared.observer
    answers = feed_a_paused_stage(observer, 'paused', 5)
    for name in ('paused/drain', 'manager/drain'):
        assert observer.trigger(name) == (False, 'paused is inactive; 5 items are left')
    assert observer.change_state('paused', 'activate')
    assert observer.trigger('manager/drain') == (True, 'drained')
    wait_for(lambda: len(answers) == 5, 'the answers')
