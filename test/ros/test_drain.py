"""Services: what waits is dropped (flush), or what is here is finished (drain)."""

from __future__ import annotations

from support.configuring import stage
from support.observing import header, number_of

from worker_pipeline.testing import wait_for


def feed_a_paused_stage(observer, count: int):
    """Who collects what comes of it."""
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')
    observer.wait_until_active('echo', 1)
    assert observer.change_state('echo', 'deactivate')
    for number in range(count):
        feed.publish(header(number))
    wait_for(lambda: observer.count('echo', 'queued') == count, f'{count} queued items')
    return answers


def test_flush_drops_what_waits(start, observer):
    """And says how much it was; what comes later passes."""
    start({'stages': ['echo'], 'echo': stage('Echo', queue_size=100)})
    answers = feed_a_paused_stage(observer, 50)
    assert observer.trigger('echo/flush') == (True, 'dropped 50 items')
    assert observer.trigger('echo/flush') == (True, 'dropped 0 items')
    wait_for(lambda: observer.count('echo', 'dropped') == 50, 'that it is counted')
    assert observer.change_state('echo', 'activate')
    observer.feeder('echo/input').publish(header(50))
    wait_for(lambda: answers, 'the next item')
    assert [number_of(each) for each in answers] == [50]


def test_drain_answers_when_all_is_done_that_was_there(start, observer):
    """A stage's own; and the manager's for all of them, from the first to the last."""
    start(
        {
            'stages': ['last', 'first'],
            'first': stage('Work', queue_size=1000, params={'seconds': 0.005}),
            'last': stage('Work', input='first', queue_size=1000, params={'seconds': 0.01}),
        }
    )
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
    observer.diagnostics.clear()
    wait_for(lambda: observer.values('last'), 'diagnostics')
    assert observer.count('last', 'completed') == 100


def test_drain_does_not_wait_for_what_comes_later(start, observer):
    """A stage that is never empty is drained all the same."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo', queue_size=10_000)})
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')
    observer.wait_until_active('echo', 1)
    assert observer.trigger('echo/drain') == (True, 'drained')
    fed = 0

    def feed_more(count: int) -> None:
        nonlocal fed
        for _ in range(count):
            feed.publish(header(fed))
            fed += 1

    feed_more(20)
    asked = observer.ask_to_trigger('echo/drain')
    while not asked.done():
        assert fed < 9_000, f'no answer while {len(answers)} were answered\n{manager.output}'
        # For each that is answered another two come.
        answered = len(answers)
        wait_for(lambda answered=answered: len(answers) > answered, 'answers', seen=manager.show)
        feed_more(2 * (len(answers) - answered))
    assert asked.result().success
    assert len(answers) < fed
    wait_for(lambda: len(answers) == fed, 'all answers')


def test_what_is_paused_cannot_be_drained(start, observer):
    """Which is said, instead of waiting."""
    start({'stages': ['echo'], 'echo': stage('Echo', queue_size=100)})
    answers = feed_a_paused_stage(observer, 5)
    for name in ('echo/drain', 'manager/drain'):
        assert observer.trigger(name) == (False, 'echo is inactive; 5 items are left')
    assert observer.change_state('echo', 'activate')
    assert observer.trigger('manager/drain') == (True, 'drained')
    wait_for(lambda: len(answers) == 5, 'the answers')
