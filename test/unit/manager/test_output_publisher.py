# SPDX-License-Identifier: Apache-2.0
"""A stage's output is published for others only, and again after a crash of the manager."""

from __future__ import annotations

import pytest
from support.output_bench import FOLLOWERS, output_bench

from worker_pipeline.manager import output_publisher
from worker_pipeline.manager.output_publisher import (
    FIRST_MATCH_TIMEOUT,
    REMATCH_TIMEOUT,
)


@pytest.fixture(params=[False, True], ids=['without a journal', 'with a journal'])
def bench(tmp_path, clock, request):
    with output_bench(tmp_path, clock, payloads=request.param) as found:
        yield found


@pytest.fixture
def journaled(tmp_path, clock):
    with output_bench(tmp_path, clock, payloads=True) as found:
        yield found


@pytest.fixture
def plain(tmp_path, clock):
    with output_bench(tmp_path, clock, payloads=False) as found:
        yield found


def test_followers_alone_are_published_nothing(bench):
    """They are handed the item itself."""
    bench.output.tick(0.0)
    bench.publish(b'a')
    assert bench.topic.messages == []
    assert bench.output.listeners == 0


def test_a_listener_is_served_while_a_follower_is_not_subscribed(bench):
    """Its stage is not configured yet, or has been cleaned up."""
    bench.own['s'] = 0
    bench.topic.subscribers = 1
    bench.publish(b'a')
    assert bench.topic.messages == [b'a']


def test_fewer_subscribers_than_followers_are_no_listeners(bench):
    bench.topic.subscribers = 1
    assert bench.output.listeners == 0


def test_others_get_every_message_when_its_event_is_over(bench):
    bench.listen()
    with bench.outbox:
        bench.output.publish(b'a')
        assert bench.topic.messages == []
    bench.publish(b'b')
    assert bench.topic.messages == [b'a', b'b']
    assert bench.output.listeners == 1


def test_a_new_subscriber_gets_the_next_message_before_any_tick(bench):
    bench.topic.subscribers = FOLLOWERS + 1
    bench.publish(b'a')
    assert bench.topic.messages == [b'a']
    assert bench.recorded('subscribers') == [1]


def test_a_message_goes_to_nobody_when_the_last_subscriber_has_left(bench):
    bench.listen()
    bench.topic.subscribers = FOLLOWERS
    bench.publish(b'a')
    assert bench.topic.messages == []


def test_the_number_of_listeners_is_recorded_when_it_changes(bench):
    bench.listen(1)
    bench.listen(1)
    bench.listen(2)
    assert bench.recorded('subscribers') == [1, 2]
    assert bench.output.snapshot()['subscribers'] == 2


# -- with a journal --------------------------------------------------------------------------------


def test_a_message_stays_until_it_is_acknowledged(journaled):
    journaled.topic.is_acked = False
    journaled.listen()
    journaled.publish(b'a')
    journaled.publish(b'b')
    assert journaled.output.snapshot()['unacked_outputs'] == [b'a', b'b']
    journaled.topic.is_acked = True
    journaled.output.tick(0.0)
    assert journaled.output.snapshot()['unacked_outputs'] == []
    assert journaled.recorded('acked') == [2]


def test_messages_after_those_that_were_acknowledged_are_counted_from_one(journaled):
    """The journal never has more acknowledged messages than there are."""
    journaled.listen()
    journaled.publish(b'a', b'b')
    journaled.output.tick(0.0)
    journaled.topic.is_acked = False
    journaled.publish(b'c')
    journaled.topic.is_acked = True
    journaled.output.tick(0.0)
    assert journaled.recorded('acked') == [2, 1]


def test_acknowledgements_are_never_waited_for(journaled):
    journaled.listen()
    journaled.publish(b'a')
    journaled.output.tick(0.0)
    assert set(journaled.topic.waits) == {0.0}


def test_no_more_messages_are_kept_than_the_publisher_keeps(journaled):
    journaled.topic.is_acked = False
    journaled.listen()
    journaled.publish(b'a', b'b', b'c', b'd')
    assert journaled.output.snapshot()['unacked_outputs'] == [b'b', b'c', b'd']
    assert journaled.recorded('acked') == [1]


def test_messages_that_were_not_sent_yet_are_not_acknowledged(journaled):
    journaled.listen()
    with journaled.outbox:
        journaled.output.publish(b'a')
        journaled.output.publish(b'b')
        assert journaled.output.snapshot()['unacked_outputs'] == [b'a', b'b']
    assert journaled.recorded('acked') == []


# -- after a crash of the manager ------------------------------------------------------------------


def test_messages_wait_until_all_former_subscribers_are_back(bench):
    """Also those of a manager with a journal, if this one has none."""
    bench.output.resume(2, [b'a'], 0.0)
    bench.listen(1)
    bench.publish(b'b')
    assert bench.topic.messages == []
    bench.listen(2)
    assert bench.topic.messages == [b'a', b'b']


def test_what_is_published_after_the_replay_is_sent_at_once(bench):
    bench.output.resume(1, [b'a'], 0.0)
    bench.listen(1)
    bench.publish(b'b')
    assert bench.topic.messages == [b'a', b'b']


def test_without_former_subscribers_nothing_waits(bench):
    bench.output.resume(0, [], 0.0)
    bench.topic.subscribers = FOLLOWERS + 1
    bench.publish(b'a')
    assert bench.topic.messages == [b'a']


@pytest.mark.parametrize(('back', 'timeout'), [(1, REMATCH_TIMEOUT), (0, FIRST_MATCH_TIMEOUT)])
def test_those_that_are_back_wait_for_the_others_only_for_a_while(bench, back, timeout):
    """While there is nobody, waiting costs nothing."""
    bench.output.resume(2, [b'a'], 10.0)
    bench.topic.subscribers = FOLLOWERS + back
    bench.output.tick(10.0 + timeout)
    assert bench.topic.messages == []
    bench.output.tick(10.1 + timeout)
    assert bench.topic.messages == [b'a']


def test_many_messages_are_replayed_in_batches(journaled, monkeypatch):
    monkeypatch.setattr(output_publisher, 'REPLAY_BATCH', 2)
    journaled.output.resume(1, [b'a', b'b', b'c'], 0.0)
    journaled.topic.is_acked = False
    journaled.listen(1)
    assert journaled.topic.messages == [b'a', b'b']
    journaled.output.tick(0.1)
    assert journaled.topic.messages == [b'a', b'b', b'c']
    journaled.output.tick(0.2)
    assert journaled.topic.messages == [b'a', b'b', b'c']


def test_without_a_journal_the_last_messages_wait_in_batches_too(plain, monkeypatch):
    monkeypatch.setattr(output_publisher, 'REPLAY_BATCH', 2)
    plain.output.resume(1, [], 0.0)
    plain.publish(b'a', b'b', b'c', b'd')  # one more than is kept
    plain.listen(1)
    assert plain.topic.messages == [b'b', b'c']
    plain.output.tick(0.1)
    assert plain.topic.messages == [b'b', b'c', b'd']


def test_a_flush_sends_what_waits_and_waits_for_the_acknowledgements(bench):
    bench.output.resume(1, [b'a'], 0.0)
    bench.output.flush(0.5)
    assert bench.topic.messages == [b'a']
    assert bench.topic.waits[-1] == 0.5


def test_destroy_takes_the_topic_out_of_the_graph(bench):
    bench.output.destroy()
    assert bench.node.topics_published == {}
