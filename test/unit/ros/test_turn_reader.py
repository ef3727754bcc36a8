# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that are read in turns: all of a burst, with everything else in between."""

from __future__ import annotations

import pytest
from rclpy.clock import ClockType
from support.fake_nodes import FakeClock, FakeNode

from worker_pipeline.ros import turn_reader
from worker_pipeline.ros.turn_reader import TURN_MESSAGES, TURN_TIME, RawSubscription, TurnReader


class Bench:
    def __init__(self, clock):
        self.clock = clock
        self.node = FakeNode('s', clock)
        self.received, self.turns = [], []
        self.seconds = 0.0  # that a message takes
        self.open = [self.subscribe('a'), self.subscribe('b')]
        self.reader = TurnReader(self.node, self.inputs, self.turns.append)

    def subscribe(self, topic):
        subscription = self.node.create_subscription('type', topic, self.on_message, None, raw=True)
        return RawSubscription(subscription, self.on_message)

    def inputs(self):
        return [[each] for each in self.open]

    def on_message(self, message):
        self.received.append(message)
        self.clock.now += self.seconds

    def turn(self):
        ((_, callback),) = self.node.timers_made
        callback()
        return self.turns[-1]


@pytest.fixture
def bench(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(turn_reader, 'time', clock)
    return Bench(clock)


def test_the_executor_reads_no_more_until_the_turns_end(bench):
    bench.reader.begin()
    bench.reader.begin()
    assert bench.node.withheld == [each.subscription for each in bench.open]
    assert len(bench.node.timers_made) == 1
    bench.reader.end()
    bench.reader.end()
    assert bench.node.withheld == []


def test_turns_go_on_until_one_finds_nothing_as_the_executor_is_told_of_new_messages_only(bench):
    bench.reader.begin()
    bench.reader.end()
    bench.open[1].subscription.unread.append(b'left behind')
    assert bench.turn() == 1
    assert bench.turn() == 0
    assert not bench.node.timers_made


def test_they_begin_anew_while_they_end(bench):
    bench.reader.begin()
    bench.reader.end()
    bench.reader.begin()
    assert len(bench.node.withheld) == 2
    assert [bench.turn(), bench.turn()] == [0, 0]


@pytest.mark.parametrize('has_ended', [False, True])
def test_nothing_is_left_of_them_when_they_are_closed(bench, has_ended):
    bench.reader.begin()
    if has_ended:
        bench.reader.end()
    bench.reader.close()
    bench.reader.close()
    assert bench.node.withheld == []
    assert not bench.node.timers_made


def test_a_turn_takes_what_there_is_of_every_subscription(bench):
    bench.reader.begin()
    for (subscription, _), count in zip(bench.open, (3, 2), strict=True):
        subscription.unread.extend(bytes([each]) for each in range(count))
    assert bench.turn() == 5
    assert bench.turn() == 0
    assert bench.received == [b'\0', b'\1', b'\2', b'\0', b'\1']


def test_a_turn_is_bounded_by_messages_for_each_subscription(bench):
    bench.reader.begin()
    for subscription, _ in bench.open:
        subscription.unread.extend([b'x'] * (TURN_MESSAGES + 1))
    assert [bench.turn() for _ in range(3)] == [2 * TURN_MESSAGES, 2, 0]


def test_a_turn_is_bounded_by_time_and_no_subscription_waits_for_ever(bench):
    bench.reader.begin()
    bench.seconds = 0.3 * TURN_TIME
    for subscription, _ in bench.open:
        subscription.unread.extend([b'x'] * 100)
    assert bench.turn() == 4
    left = [len(subscription.unread) for subscription, _ in bench.open]
    assert left == [98, 98]
    bench.seconds = 2.0 * TURN_TIME
    assert bench.turn() == 2


@pytest.mark.parametrize('flooded', [0, 1])
def test_a_flood_on_one_subscription_leaves_others_their_share_and_gets_the_rest(bench, flooded):
    bench.reader.begin()
    bench.seconds = TURN_TIME / 100
    bench.open[flooded].subscription.unread.extend([b'flood'] * 1000)
    bench.open[1 - flooded].subscription.unread.extend([b'item'] * 20)
    assert bench.turn() == 100
    assert bench.received.count(b'item') == 20


def test_a_subscription_that_is_replaced_meanwhile_is_read_too(bench):
    bench.reader.begin()
    bench.open = [bench.subscribe('c')]
    bench.open[0].subscription.unread.append(b'new')
    assert bench.turn() == 1
    assert bench.node.withheld == [bench.open[0].subscription]
    bench.reader.end()
    bench.turn()
    assert bench.node.withheld == []


def test_a_subscription_that_is_replaced_is_emptied_before_its_successor_is_read(bench):
    bench.inputs = lambda: [bench.open]
    reader = TurnReader(bench.node, bench.inputs, bench.turns.append)
    reader.begin()
    bench.seconds = TURN_TIME / 10
    bench.open[0].subscription.unread.extend(bytes([each]) for each in range(12))
    bench.open[1].subscription.unread.extend(bytes([each]) for each in range(12, 24))
    while bench.turn():
        pass
    assert bench.received == [bytes([each]) for each in range(24)]


def test_the_turns_go_on_while_simulated_time_stands_still(bench):
    bench.reader.begin()
    (timer,) = bench.node.timers_made
    assert bench.node.clocks[timer].clock_type is ClockType.STEADY_TIME


def test_an_error_of_a_message_costs_that_message_only(bench):
    def fail(message):
        raise ValueError(message)

    bench.open = [RawSubscription(bench.open[0].subscription, fail)]
    bench.reader.begin()
    bench.open[0].subscription.unread.extend([b'bad', b'next'])
    for _ in range(2):
        with pytest.raises(ValueError, match='b'):
            bench.turn()
    assert not bench.open[0].subscription.unread
