# SPDX-License-Identifier: Apache-2.0
"""A stage's output is published for others only, and again after a crash of the manager."""

from __future__ import annotations

from collections import Counter

import pytest
from support.fake_nodes import FakeNode, FakePublisher
from support.journal import RUN

from worker_pipeline.core.absence import READING
from worker_pipeline.frames.registry import FrameRegistry, TrackedReference
from worker_pipeline.manager import output_publisher
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.manager.output_publisher import (
    FIRST_MATCH_TIMEOUT,
    REMATCH_AFTER,
    REMATCH_TIMEOUT,
    SETTLING,
    OutputPublisher,
)
from worker_pipeline.recovery.journal import Journal, read

FOLLOWERS = 2


class Bench:
    """A publisher with two followers in the pipeline, and a depth of three messages."""

    def __init__(self, folder, clock, payloads):
        self.node = FakeNode('s', clock)
        self.topic = FakePublisher('s/output')
        self.node.topics_published['s/output'] = self.topic
        self.topic.subscribers = FOLLOWERS
        self.path = folder / 'journal'
        self.journal = Journal(self.path, RUN, payloads=payloads)
        self.journal.checkpoint({})
        self.errors = []
        self.outbox = Outbox(self.journal, self.errors.append)
        self.own = Counter(s=FOLLOWERS)
        self.output = OutputPublisher(
            self.node, 's', self.topic, self.own, self.outbox, FrameRegistry(folder, 0), 3
        )

    def publish(self, *messages):
        with self.outbox:
            for each in messages:
                self.output.publish(each)

    def listen(self, count=1):
        self.topic.subscribers = FOLLOWERS + count
        self.output.tick(0.0)

    def recorded(self, kind):
        entries = [each for entry in read(self.path).entries for each in entry]
        return [fields[0] for _, found, fields in entries if found == kind]


@pytest.fixture(params=[False, True], ids=['without a journal', 'with a journal'])
def bench(tmp_path, clock, request):
    found = Bench(tmp_path, clock, request.param)
    yield found
    found.journal.close()
    assert found.errors == []


@pytest.fixture
def journaled(tmp_path, clock):
    found = Bench(tmp_path, clock, True)
    yield found
    found.journal.close()


@pytest.fixture
def plain(tmp_path, clock):
    found = Bench(tmp_path, clock, False)
    yield found
    found.journal.close()


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


# -- after a pause ---------------------------------------------------------------------------------


def tick(bench, clock, seconds=0.05):
    end = clock.now + seconds
    while clock.now < end:
        clock.now = min(end, clock.now + 0.5)
        bench.output.tick(clock.now)


def test_after_a_pause_outputs_wait_until_subscribers_have_matched_again(bench, clock):
    """They may have taken the manager for dead; what they had not acknowledged comes again."""
    bench.listen()
    bench.topic.is_acked = False
    bench.publish(b'a')
    clock.now += 10.0
    bench.publish(b'b')
    assert bench.topic.messages == [b'a'], 'before any tick'
    bench.topic.subscribers = FOLLOWERS  # DDS finds out now
    bench.topic.is_acked = True  # by nobody
    tick(bench, clock, SETTLING + 1.0)
    bench.publish(b'c')
    assert bench.topic.messages == [b'a']
    bench.topic.subscribers = FOLLOWERS + 1
    tick(bench, clock)
    assert bench.topic.messages == [b'a', b'a', b'b', b'c']
    assert bench.output.lost == 0


def test_dds_is_given_time_to_notice_who_is_lost(bench, clock):
    """At first, all former subscribers seem to be there still."""
    bench.listen()
    clock.now += 10.0
    bench.publish(b'a')
    tick(bench, clock, SETTLING - 0.1)
    assert bench.topic.messages == []
    tick(bench, clock, 0.2)
    assert bench.topic.messages == [b'a']


def test_a_suspended_machine_has_stood_still_too(bench, clock):
    """For subscribers on other machines."""
    bench.listen()
    tick(bench, clock)
    clock.suspended += 3600.0
    bench.publish(b'a')
    assert bench.topic.messages == []
    tick(bench, clock, SETTLING + 0.1)
    assert bench.topic.messages == [b'a']


@pytest.mark.parametrize('seconds', [0.1, REMATCH_AFTER - 0.1])
def test_after_a_short_pause_nothing_waits(bench, clock, seconds):
    bench.listen()
    tick(bench, clock)
    clock.now += seconds
    bench.publish(b'a')
    assert bench.topic.messages == [b'a']


@pytest.mark.parametrize(
    ('seconds', 'dips', 'twice'), [(3.0, False, False), (3.0, True, True), (4.5, False, True)]
)
def test_acknowledgements_count_if_no_subscriber_was_lost(bench, clock, seconds, dips, twice):
    bench.listen()
    tick(bench, clock)
    bench.topic.is_acked = False
    bench.publish(b'a')
    clock.now += seconds
    bench.topic.is_acked = True
    bench.topic.subscribers -= dips
    tick(bench, clock)
    bench.topic.subscribers += dips
    tick(bench, clock, SETTLING + 0.1)
    assert bench.topic.messages == [b'a', b'a'][: 1 + twice]


def test_without_subscribers_a_pause_changes_nothing(bench, clock):
    tick(bench, clock)
    clock.now += 10.0
    bench.topic.subscribers = FOLLOWERS + 1
    bench.publish(b'a')
    assert bench.topic.messages == [b'a']


def test_a_pause_while_former_subscribers_are_waited_for_lengthens_the_wait(bench, clock):
    bench.output.resume(2, [b'a'], clock.now)
    bench.topic.subscribers = FOLLOWERS + 1
    tick(bench, clock)
    clock.now += 10.0
    tick(bench, clock)
    assert bench.topic.messages == []
    tick(bench, clock, SETTLING + REMATCH_TIMEOUT + 0.1)
    assert bench.topic.messages == [b'a']


def test_what_is_more_than_can_wait_is_counted(bench, clock):
    """With one warning."""
    bench.listen()
    clock.now += 10.0
    bench.publish(b'a', b'b', b'c', b'd', b'e')
    tick(bench, clock, SETTLING + 0.1)
    assert bench.topic.messages == [b'c', b'd', b'e']
    assert bench.output.values() == {'listeners': 1, 'outputs_lost': 2}
    assert bench.node.logger.warnings == [
        's/output: 2 messages are lost to subscribers: more than 3 had to wait for them'
    ]


def test_what_nobody_has_waited_for_is_not_lost(bench, clock):
    bench.listen()
    clock.now += 10.0
    bench.publish(b'a', b'b', b'c', b'd', b'e')
    bench.topic.subscribers = FOLLOWERS
    tick(bench, clock, SETTLING + FIRST_MATCH_TIMEOUT + 0.1)
    assert bench.topic.messages == [b'c', b'd', b'e'], 'to nobody'
    assert bench.output.lost == 0
    assert bench.node.logger.warnings == [
        's/output: 1 of 1 former subscribers have not come back; they may miss messages'
    ]


def test_frames_that_were_not_acknowledged_before_a_pause_are_counted(plain, clock):
    """Kept, they would take frame memory."""

    class Frames:
        def materialize(self, message):
            return bytes(message)

    plain.output._frames = Frames()
    plain.listen()
    tick(plain, clock)
    plain.topic.is_acked = False
    frame = TrackedReference(b'frame')
    frame.key, frame.on_release = (1, 1), lambda _key: None
    plain.publish(frame)
    assert plain.topic.messages == [b'frame']
    clock.now += 10.0
    tick(plain, clock)
    assert plain.output.lost == 1


def test_an_acknowledged_frame_is_not_counted(plain, clock):
    plain.output._frames_unacked = 1
    plain.listen()
    clock.now += 10.0
    tick(plain, clock)
    assert plain.output.lost == 0


def test_what_was_lost_is_still_counted_by_the_next_manager(bench, clock):
    bench.output.lost = 3
    assert bench.output.snapshot()['outputs_lost'] == 3
    bench.output.resume(1, [], clock.now, lost=4)
    assert bench.output.values()['outputs_lost'] == 4


def test_a_manager_that_hands_over_has_not_published_what_waits():
    """Its successor does."""
    assert READING < SETTLING
