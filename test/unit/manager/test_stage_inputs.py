# SPDX-License-Identifier: Apache-2.0
"""The inputs of a stage: messages, invalid messages, and publishers that leave."""

from __future__ import annotations

import time
from collections import Counter
from types import SimpleNamespace

import pytest
from std_msgs.msg import Header
from support.dispatching import Flow, stage
from support.fake_nodes import FakeNode
from support.offline_pipeline import message, stage_config

from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.message_rate import CALM_TIME, MANY
from worker_pipeline.core.ros_time import RosTime
from worker_pipeline.manager.input_stamps import InputStamps
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.manager.stage_inputs import StageInputs
from worker_pipeline.ros.cdr import stamp_of
from worker_pipeline.ros.subscription_status import NO_CALLBACKS
from worker_pipeline.ros.throttled_log import ThrottledLog

TOPIC = '/camera/image'


class Bench:
    def __init__(self, journal, clock, **settings):
        self.node = FakeNode('s', clock)
        self.flow = Flow(s=stage('before', TOPIC))
        self.own = Counter()
        log = ThrottledLog(self.node.logger)
        outbox = Outbox(journal, print)
        stamps = InputStamps(stage_config('s', **settings), RosTime(is_simulated=False, now=0.0))
        self.inputs = StageInputs(self.node, self.flow.s, outbox, log, self.own, stamps)
        self.open()

    def open(self, is_large=False):
        self.inputs.open(Header, ['before', TOPIC], ['before', 's'], is_large=is_large)

    def topic(self, name):
        return self.node.topics_subscribed[name]

    def accepted(self):
        return self.flow.s.ledger.counters.accepted


@pytest.fixture
def bench(journal, clock):
    journal.checkpoint({})
    return Bench(journal, clock)


def test_a_stage_subscribes_to_its_inputs_and_to_its_own(bench):
    assert list(bench.node.topics_subscribed) == ['before/output', TOPIC, 's/input']
    assert all(each.raw for each in bench.node.topics_subscribed.values())


def test_a_subscription_to_a_stage_of_the_same_manager_is_counted_while_there_is_one(bench):
    assert bench.own == {'before': 1}
    bench.inputs.close()
    assert bench.own['before'] == 0


@pytest.mark.parametrize(('topic', 'source'), [('before/output', 'before'), (TOPIC, TOPIC)])
def test_a_message_is_an_item_of_the_input_it_came_by(bench, topic, source):
    bench.topic(topic).receive(message(5))
    (sent,) = [each.item for each in bench.flow.take()]
    assert sent.key == ItemKey(source, 5)
    assert sent.payload == message(5)
    assert sent.accepted_at == 100.0


def test_a_message_is_committed_as_an_event(bench, journal):
    commits = []
    journal.commit = lambda: commits.append(bench.accepted())
    bench.topic('s/input').receive(message(5))
    assert commits == [1]


def test_what_is_no_message_is_refused_and_counted(bench):
    bench.topic('s/input').receive(b'too short')
    bench.topic('s/input').receive(bytes(20))  # no stamp
    assert bench.accepted() == 0
    assert bench.inputs.bad_messages == 2
    assert bench.node.logger.warnings[0].startswith('input: refused a message: found 9 bytes')
    assert len(bench.node.logger.warnings) == 1  # the other one is counted


def test_a_message_without_a_stamp_is_an_item_where_arrivals_are_stamps(journal, clock):
    journal.checkpoint({})
    bench = Bench(journal, clock, stamps='arrival')
    for topic in (TOPIC, 's/input'):
        bench.topic(topic).receive(bytes([0, 1, 0, 0]) + bytes(16))
    bench.topic('before/output').receive(message(5))  # of a stage: as it is
    assert (bench.accepted(), bench.inputs.bad_messages) == (3, 0)
    (sent,) = [each.item for each in bench.flow.take()]
    assert sent.key == ItemKey(TOPIC, 100 * 10**9)
    assert stamp_of(sent.payload) == 100 * 10**9


def test_what_stamps_are_is_logged_once_as_what_it_is(bench, clock):
    for topic, ahead in ((TOPIC, 3), ('s/input', -3)):
        for _ in range(40):
            clock.now += 0.1
            bench.topic(topic).receive(message(round((clock.now + ahead) * 10**9)))
    for now in range(200, 210):
        bench.inputs.tick(float(now))
    (warning,) = bench.node.logger.warnings
    assert warning == (
        f'{TOPIC}: stamps are 3 s ahead of their arrival: another clock; synchronise the clocks, '
        'or correct it by s.stamp_offset'
    )
    assert bench.node.logger.infos == [
        'input: stamps are 3 s behind their arrival: another clock, or a recording'
    ]
    values = bench.inputs.values()
    assert values['lost'] == 0
    assert values[f'{TOPIC}.rate_hz'] == '10.00'
    assert values['input.stamp_offset_ms'] == '3000.00'


def test_a_repeated_message_is_refused_without_an_event(bench, journal):
    """A flood of them costs less than as many good ones."""
    bench.topic('s/input').receive(message(5))
    bench.topic('s/input').receive(message(7))
    commits = []
    journal.commit = lambda: commits.append(1)
    for _ in range(3):
        bench.topic('s/input').receive(message(5))
    assert not commits
    assert bench.flow.s.ledger.counters.duplicates == 3
    assert bench.flow.s.repeated.count == 3
    assert len(bench.node.logger.warnings) == 1
    assert 'an item with this stamp was accepted before' in bench.node.logger.warnings[0]
    bench.topic(TOPIC).receive(message(5))  # another input
    bench.topic('s/input').receive(message(6))  # late, but new
    assert bench.accepted() == 4


def test_a_repeated_message_may_be_of_a_new_run(bench):
    """Where time may be set back, it is kept until that is known."""
    bench.topic('s/input').receive(message(5))
    bench.flow.dispatcher.runs.may_restart = True
    bench.topic('s/input').receive(message(5))
    assert bench.flow.s.repeated.has_kept
    assert bench.flow.s.ledger.counters.duplicates == 0


def test_a_repeated_message_to_a_closed_stage_is_ignored(bench):
    bench.topic('s/input').receive(message(5))
    bench.flow.s.is_open = False
    bench.topic('s/input').receive(message(5))
    assert bench.flow.s.ledger.counters.duplicates == 0


def lose(bench, topic, count):
    bench.topic(topic).status.lost = count


def test_lost_messages_are_summed_up_over_the_inputs(bench):
    """DDS has a counter for each; they are asked twice a second."""
    lose(bench, 'before/output', 2)
    bench.inputs.tick(100.0)
    lose(bench, 'before/output', 3)
    lose(bench, TOPIC, 1)
    bench.inputs.tick(100.4)
    assert bench.inputs.lost == 2
    bench.inputs.tick(100.5)
    assert bench.inputs.lost == 6
    assert bench.node.logger.warnings[0].startswith('before: 2 messages were lost before they')


def test_messages_lost_before_an_input_is_closed_are_counted(bench):
    lose(bench, 's/input', 4)
    bench.inputs.close()
    assert bench.inputs.lost == 4
    bench.inputs.tick(101.0)
    assert bench.inputs.lost == 4


def test_inputs_have_no_event_callbacks(bench):
    """Nor any of rclpy's own: they can hang the process, or crash it."""
    for subscription in bench.node.topics_subscribed.values():
        assert subscription.event_callbacks is NO_CALLBACKS


@pytest.mark.parametrize(('is_large', 'history'), [(True, 'KEEP_LAST'), (False, 'KEEP_ALL')])
def test_only_large_messages_are_kept_in_small_numbers(bench, is_large, history):
    bench.inputs.close()
    bench.open(is_large)
    assert {each.profile.history.name for each in bench.node.topics_subscribed.values()} == {
        history
    }


def publishers(bench, count, topic=TOPIC):
    bench.topic(topic).status.publishers = count
    bench.inputs.tick(time.monotonic())


def test_a_topic_whose_publisher_goes_is_reported_until_it_has_one_again(bench):
    publishers(bench, 1)
    assert bench.inputs.without_publisher == set()
    publishers(bench, 0)
    assert bench.inputs.without_publisher == {TOPIC}
    assert bench.node.logger.warnings == [f'{TOPIC}: has no publisher any more']
    publishers(bench, 1)
    publishers(bench, 2)
    assert bench.inputs.without_publisher == set()
    assert bench.node.logger.infos == [f'{TOPIC}: has a publisher again']


def test_the_own_input_needs_no_publisher(bench):
    publishers(bench, 0, 's/input')
    assert bench.inputs.without_publisher == set()


def test_closed_inputs_are_out_of_the_graph(bench):
    publishers(bench, 1)
    publishers(bench, 0)
    bench.inputs.close()
    assert bench.node.topics_subscribed == {}
    assert bench.inputs.without_publisher == set()
    bench.inputs.close()


def burst(bench, count=MANY):
    for number in range(count):
        bench.topic('s/input').receive(message(number + 1))


def turn(bench):
    ((_, read),) = bench.node.timers_made
    read()


def test_a_burst_is_read_in_turns_from_then_on(bench):
    burst(bench)
    assert [each.topic for each in bench.node.withheld] == ['before/output', TOPIC, 's/input']
    accepted = bench.accepted()
    for topic in ('s/input', 'before/output', TOPIC):
        bench.topic(topic).unread.extend([message(MANY + 1), b'bad'])
    turn(bench)
    assert bench.accepted() == accepted + 3
    assert bench.inputs.bad_messages == 3


def test_messages_are_read_one_by_one_again_when_the_burst_is_over(bench):
    bench.inputs.tick(100.0)
    burst(bench)
    bench.inputs.tick(100.05)
    bench.inputs.tick(100.05 + CALM_TIME / 2)
    assert bench.node.withheld
    bench.inputs.tick(100.05 + CALM_TIME)
    assert not bench.node.withheld
    turn(bench)
    assert not bench.node.timers_made


def test_turns_end_when_the_inputs_are_closed(bench):
    burst(bench)
    bench.inputs.close()
    assert not bench.node.withheld
    assert not bench.node.timers_made
    bench.open()
    burst(bench)
    assert len(bench.node.withheld) == 3


def test_a_topic_of_another_type_is_said_to_be_one(bench):
    """Or one would look for a publisher that is there."""
    assert bench.inputs.notes() == ()
    other = SimpleNamespace(topic_type='sensor_msgs/msg/CompressedImage')
    bench.node.get_publishers_info_by_topic = lambda topic: [other] if topic == TOPIC else []
    bench.inputs.tick(time.monotonic() + 1.0)
    assert bench.inputs.notes() == (
        f'{TOPIC} is published as sensor_msgs/msg/CompressedImage, which is not received',
    )
    bench.inputs.close()
    assert bench.inputs.notes() == ()
