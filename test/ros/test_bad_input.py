# SPDX-License-Identifier: Apache-2.0
"""Bad messages on an input are rejected, counted and reported, and no process dies of them."""

from __future__ import annotations

import struct
import time

import pytest
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import TimeReference
from std_msgs.msg import Header, String
from support.configuring import stage
from support.observer import Observer, header, number_of

from worker_pipeline.testing import wait_for

# A stage for each test.
SHARED = {
    'bytes': stage('Echo', workers=2),
    'empty': stage('Echo'),
    'unstamped': stage('Echo'),
    'typed': stage('Echo'),
    'duplicates': stage('Echo', workers=2, queue_size=100),
    'joined': stage('Echo', workers=2, queue_size=100, input=['/left', '/right']),
    'burst': stage('Echo', queue_size=100),
    'short': stage('Echo', queue_size=20_000),
    'large': stage('Echo', task_timeout=100.0),
}


class Scene:
    """One of the stages; afterwards the same processes do the next good item."""

    def __init__(self, shared, name):
        self.name = name
        self.manager, self.observer = shared.manager, shared.observer
        self.answers = self.observer.collect(f'{name}/output')
        self.feed = self.observer.feeder(f'{name}/input')
        self.observer.wait_until_active(name)
        self._before = self._processes()

    def _processes(self):
        workers = range(SHARED[self.name].get('workers', 1))
        return [self.observer.pid_of(f'{self.name}/worker_{index}') for index in workers]

    def counts(self, *keys):
        return [self.observer.count(self.name, key) for key in keys]

    def wait_for_counts(self, **counts):
        """Wait until the diagnostics show it."""
        wait_for(
            lambda: self.counts(*counts) == list(counts.values()),
            f'{counts}',
            seen=lambda: (self.observer.values(self.name), self.manager.show()[-3000:]),
        )

    def log(self):
        """Return what the stage has logged."""
        lines = self.manager.output.splitlines()
        return [line for line in lines if f'[airside.{self.name}]' in line]

    def check_health(self):
        """The same processes as before do a good item, and none reports an error."""
        good = header(10_000_000)
        self.feed.publish(good)
        wait_for(lambda: good in self.answers[-1:], 'a good item', seen=self.manager.show)
        assert self._processes() == self._before
        assert self.observer.values('manager')['restarts'] == '0'
        assert 'Traceback' not in self.manager.output
        assert 'internal error' not in self.manager.output


@pytest.fixture
def scene(shared):
    return lambda name: Scene(shared, name)


def stamped(sec, nanosec, rest=b'\x01\0\0\0\0'):
    """The bytes of a header."""
    return b'\0\1\0\0' + struct.pack('<iI', sec, nanosec) + rest


def cut_short(number, missing):
    """A good item without its last bytes."""
    message = header(number)
    message.frame_id = 'x' * 40
    return bytes(serialize_message(message))[:-missing]


BAD_BYTES = {
    'one byte': b'\0',
    'no stamp': b'\0\1\0\0',
    'half a stamp': stamped(1, 2)[:11],
    'stamp of zero': stamped(0, 0),
    'stamp before zero': stamped(-1, 0),
    'too many nanoseconds': stamped(1, 1_000_000_000),
    'no string': stamped(1, 1, b''),
    'endless string': stamped(1, 4, b'\xff\xff\xff\xff' + b'x' * 8),
    'string cut short by a byte': cut_short(1, 1),
    'string cut short by 16 bytes': cut_short(2, 16),
    'string cut short': cut_short(3, 30),
    'unknown representation': b'\xab\xcd\xef\x11' + stamped(1, 3)[4:],
}


def test_bytes_that_are_not_a_message_are_refused(scene):
    """Each is counted once, is not an item, and has no effect."""
    scene = scene('bytes')
    for bad in BAD_BYTES.values():
        scene.feed.publish(bad)
    scene.wait_for_counts(refused=len(BAD_BYTES), accepted=0, in_flight=0, queued=0)
    assert scene.answers == []
    scene.check_health()
    assert scene.counts('quarantined', 'dropped') == [0, 0]


def test_an_empty_message_stops_only_its_own_publisher(scene, shared):
    """Fast DDS delivers neither it nor later messages of that publisher; others are received."""
    scene = scene('empty')
    other = Observer(shared.domain)
    other.feeder('empty/input').publish(b'')
    scene.feed.publish(header(1))
    wait_for(lambda: scene.answers, 'an item of another publisher')
    scene.check_health()
    scene.wait_for_counts(accepted=2, completed=2)
    other.close()


def test_a_zero_stamp_is_refused_and_logged_once_per_second(scene):
    """A burst of 500 is counted, and does not fill the log."""
    scene = scene('unstamped')
    begun = time.monotonic()
    for _ in range(500):
        scene.feed.publish(Header(frame_id='no stamp'))
    scene.wait_for_counts(refused=500, accepted=0)
    told = [line for line in scene.log() if 'refused' in line]
    assert (
        'input: refused a message: header.stamp: found 0 s and 0 ns; allowed: a time after 0'
        in told[0]
    )
    assert len(told) <= 1 + (time.monotonic() - begun)
    scene.check_health()


def test_a_message_of_another_type_is_not_an_item(scene, shared):
    """Its publisher is not matched, or its messages are refused; others are received."""
    scene = scene('typed')
    messages = [String(data='x' * 100), TimeReference(header=header(1))]
    # No node may use one topic with two types.
    others = [Observer(shared.domain) for _ in messages]
    publishers = [
        each.node.create_publisher(type(message), 'typed/input', 100)
        for each, message in zip(others, messages, strict=True)
    ]

    def publish_twenty():
        for publisher, message in zip(publishers, messages, strict=True):
            for _ in range(20):
                publisher.publish(message)

    publish_twenty()
    scene.feed.publish(header(2))
    wait_for(lambda: scene.answers, 'the good one')
    publish_twenty()
    scene.check_health()
    scene.wait_for_counts(accepted=2, completed=2, quarantined=0)
    assert [publisher.get_subscription_count() for publisher in publishers] == [0, 0]
    for each in others:
        each.close()


def test_a_duplicate_stamp_is_refused_and_logged(scene):
    """The item is processed once."""
    scene = scene('duplicates')
    for _ in range(3):
        for number in range(20):
            scene.feed.publish(header(number))
    scene.wait_for_counts(accepted=20, completed=20, duplicates=40)
    assert [number_of(each) for each in scene.answers] == list(range(20))
    told = 'input: refused an item: an item with this stamp was accepted before'
    assert any(told in line for line in scene.log())
    scene.check_health()


def test_equal_stamps_of_two_inputs_are_two_items(scene, shared):
    """Both are processed."""
    scene = scene('joined')
    feeds = [*(shared.observer.feeder(topic) for topic in ('/left', '/right')), scene.feed]
    for number in range(20):
        for name, feed in zip('lrh', feeds, strict=True):
            message = header(number)
            message.frame_id = name
            feed.publish(message)
    wait_for(lambda: len(scene.answers) == 60, 'all', seen=scene.manager.show)
    heard = [(number_of(each), each.frame_id) for each in scene.answers]
    assert sorted(heard) == sorted((n, name) for n in range(20) for name in 'lrh')
    for name in 'lrh':
        assert [n for n, each in heard if each == name] == list(range(20))
    scene.wait_for_counts(completed=60, duplicates=0, refused=0)


def test_every_item_of_a_burst_of_10000_is_accounted_for(scene):
    """Accepted, and perhaps dropped; or refused; or lost by DDS, and counted as lost."""
    scene = scene('burst')
    feed = scene.observer.feeder('burst/input', qos=QoSProfile(depth=10_000))
    for number in range(10_000):
        feed.publish(header(number))
    wait_for(
        lambda: sum(scene.counts('accepted', 'refused', 'lost')) == 10_000,
        '10000 accounted for',
        seen=lambda: scene.observer.values('burst'),
    )
    wait_for(
        lambda: sum(scene.counts('completed', 'dropped')) == scene.counts('accepted')[0],
        'the end of the work',
    )
    wait_for(lambda: len(scene.answers) == scene.counts('completed')[0], 'the answers')
    numbers = [number_of(each) for each in scene.answers]
    assert numbers == sorted(set(numbers))
    assert scene.counts('refused') == [0]
    scene.check_health()


def test_messages_lost_by_a_publisher_with_a_short_history_are_counted(scene):
    """Most publishers keep ten messages: of a burst DDS loses some, and the stage counts them."""
    scene = scene('short')
    feed = scene.observer.feeder('short/input', qos=QoSProfile(depth=10))
    feed.publish(header(0))
    # From now on the stage receives from this publisher, and counts lost messages.
    wait_for(lambda: scene.counts('completed') == [1], 'the first')
    for number in range(1, 3000):
        feed.publish(header(number))
    wait_for(
        lambda: sum(scene.counts('completed', 'lost')) == 3000,
        '3000 accounted for',
        seen=lambda: scene.observer.values('short'),
    )
    lost = scene.counts('lost')[0]
    told = any(' messages were lost before they arrived' in line for line in scene.log())
    assert told == (lost > 0)
    wait_for(
        lambda: len(scene.answers) == 3000 - lost,
        'the answers',
        seen=lambda: (lost, len(scene.answers), scene.observer.values('short')),
    )
    scene.check_health()


def test_very_large_messages_are_processed(scene):
    """16 MB of text, four times: slow, but no worker dies."""
    scene = scene('large')
    for number in range(4):
        message = header(number)
        message.frame_id = 'x' * 16_000_000
        scene.feed.publish(message)
    wait_for(
        lambda: scene.counts('completed', 'refused') == [4, 0] and len(scene.answers) == 4,
        'four answers',
        seen=lambda: (len(scene.answers), scene.observer.values('large'), scene.manager.show()),
    )
    assert [len(each.frame_id) for each in scene.answers] == 4 * [16_000_000]
    scene.check_health()
