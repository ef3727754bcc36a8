# SPDX-License-Identifier: Apache-2.0
"""After a pause a stage's output waits until its subscribers have matched the manager again."""

from __future__ import annotations

import pytest
from support.output_bench import FOLLOWERS, output_bench

from worker_pipeline.core.absence import READING
from worker_pipeline.frames.registry import TrackedReference
from worker_pipeline.manager.output_publisher import (
    FIRST_MATCH_TIMEOUT,
    REMATCH_AFTER,
    REMATCH_TIMEOUT,
    SETTLING,
)


@pytest.fixture(params=[False, True], ids=['without a journal', 'with a journal'])
def bench(tmp_path, clock, request):
    with output_bench(tmp_path, clock, payloads=request.param) as found:
        yield found


@pytest.fixture
def plain(tmp_path, clock):
    with output_bench(tmp_path, clock, payloads=False) as found:
        yield found


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
