"""Whatever is published on an input: it is refused, counted and told, and nobody dies of it."""

from __future__ import annotations

import itertools
import struct

import pytest
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import TimeReference
from std_msgs.msg import Header, String
from support.configuring import stage
from support.observing import Observer, header, number_of

from worker_pipeline.testing import wait_for

WORKERS = ('echo/worker_0', 'echo/worker_1')


class Scene:
    """A stage of two workers; afterwards the same processes do the next good item."""

    def __init__(self, start, observer, **settings):
        self.observer = observer
        self.answers = observer.collect('echo/output')
        echo = stage('Echo', **{'workers': 2, 'queue_size': 20_000, **settings})
        self.manager = start({'stages': ['echo'], 'echo': echo})
        self.feed = observer.feeder('echo/input')
        observer.wait_until_active('echo', 2)
        self._before = self._processes()

    def _processes(self):
        manager = self.observer.values('manager')['pid']
        return [manager, *(self.observer.pid_of(worker) for worker in WORKERS)]

    def counts(self, *keys):
        return [self.observer.count('echo', key) for key in keys]

    def wait_for_counts(self, timeout=20.0, **counts):
        """Wait until the diagnostics tell so."""
        wait_for(
            lambda: self.counts(*counts) == list(counts.values()),
            f'{counts}',
            timeout,
            lambda: (self.observer.values('echo'), self.manager.show()[-3000:]),
        )

    def check_health(self):
        """The same processes as before do a good item, and nobody complains of an error."""
        good = header(10_000_000)
        self.feed.publish(good)
        wait_for(lambda: good in self.answers[-1:], 'a good item', seen=self.manager.show)
        assert self._processes() == self._before
        assert self.observer.values('manager')['restarts'] == '0'
        assert 'Traceback' not in self.manager.output
        assert 'internal error' not in self.manager.output


@pytest.fixture
def scene(start, observer):
    return lambda **settings: Scene(start, observer, **settings)


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


def test_bytes_that_are_no_message_are_refused(scene):
    """Each is counted once, is no item, and nothing comes of it."""
    scene = scene()
    for bad in BAD_BYTES.values():
        scene.feed.publish(bad)
    scene.wait_for_counts(refused=len(BAD_BYTES), accepted=0, in_flight=0, queued=0)
    assert scene.answers == []
    scene.check_health()
    assert scene.counts('quarantined', 'dropped') == [0, 0]


def test_a_message_without_a_byte_stops_only_its_own_publisher(scene, domain):
    """Fast DDS delivers neither it nor what the same publisher says after it; others go on."""
    scene = scene()
    other = Observer(domain)
    other.feeder('echo/input').publish(b'')
    scene.feed.publish(header(1))
    wait_for(lambda: scene.answers, 'an item of another publisher')
    scene.check_health()
    scene.wait_for_counts(accepted=2, completed=2)
    other.close()


def test_a_stamp_of_zero_is_refused_and_told_once_a_second(scene):
    """A burst of 500 is counted, and does not fill the log."""
    scene = scene()
    for _ in range(500):
        scene.feed.publish(Header(frame_id='no stamp'))
    scene.wait_for_counts(refused=500, accepted=0)
    told = [line for line in scene.manager.output.splitlines() if 'refused' in line]
    assert 'input: header.stamp: found 0 s and 0 ns; allowed: a time after 0; refused' in told[0]
    times = [float(line.split('[')[2].rstrip('] ')) for line in told]
    assert all(after - before > 0.9 for before, after in itertools.pairwise(times))
    scene.check_health()


@pytest.mark.parametrize(
    'message', [String(data='x' * 100), TimeReference(header=header(1))], ids=['text', 'reference']
)
def test_a_message_of_another_type_is_no_item(scene, domain, message):
    """Its publisher is not connected, or what it says is refused; those of the right type go on."""
    scene = scene()
    other = Observer(domain)  # no node may use one topic with two types
    publisher = other.node.create_publisher(type(message), 'echo/input', 100)
    seen = publisher.get_subscription_count
    for _ in range(20):
        publisher.publish(message)
    scene.feed.publish(header(2))
    wait_for(lambda: scene.answers, 'the good one')
    for _ in range(20):
        publisher.publish(message)
    scene.check_health()
    scene.wait_for_counts(accepted=2, completed=2, quarantined=0)
    assert seen() == 0
    other.close()


def test_a_stamp_that_was_here_already_is_refused_and_told(scene):
    """It is done once."""
    scene = scene()
    for _ in range(3):
        for number in range(20):
            scene.feed.publish(header(number))
    scene.wait_for_counts(accepted=20, completed=20, duplicates=40)
    assert [number_of(each) for each in scene.answers] == list(range(20))
    assert 'input: an item with this stamp was here already; refused' in scene.manager.output
    scene.check_health()


def test_equal_stamps_of_two_inputs_are_two_items(start, observer):
    """Both are done."""
    manager = start(
        {
            'stages': ['echo'],
            'echo': stage('Echo', workers=2, queue_size=100, input=['/left', '/right']),
        }
    )
    answers = observer.collect('echo/output')
    feeds = [observer.feeder(topic) for topic in ('/left', '/right', 'echo/input')]
    observer.wait_until_active('echo', 2)
    for number in range(20):
        for name, feed in zip('lrh', feeds, strict=True):
            message = header(number)
            message.frame_id = name
            feed.publish(message)
    wait_for(lambda: len(answers) == 60, 'all', seen=manager.show)
    heard = [(number_of(each), each.frame_id) for each in answers]
    assert sorted(heard) == sorted((n, name) for n in range(20) for name in 'lrh')
    for name in 'lrh':
        assert [n for n, each in heard if each == name] == list(range(20))
    wait_for(lambda: observer.count('echo', 'completed') == 60, 'the count')
    assert observer.count('echo', 'duplicates') == observer.count('echo', 'refused') == 0


def test_of_a_burst_of_10000_every_item_is_accounted_for(scene, observer):
    """Accepted, of which some may be dropped; or refused; or lost on the way, and counted there."""
    scene = scene(queue_size=100)
    feed = observer.feeder('echo/input', qos=QoSProfile(depth=10_000))
    for number in range(10_000):
        feed.publish(header(number))
    wait_for(
        lambda: sum(scene.counts('accepted', 'refused', 'lost')) == 10_000,
        '10000 accounted for',
        60.0,
        lambda: observer.values('echo'),
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


def test_what_a_publisher_with_little_room_loses_is_counted(scene, observer):
    """Most publishers keep ten messages: of a burst DDS loses some, and the stage says how many."""
    scene = scene(queue_size=20_000)
    feed = observer.feeder('echo/input', qos=QoSProfile(depth=10))
    feed.publish(header(0))
    # From now on the stage hears this publisher, and counts what it does not hear.
    wait_for(lambda: scene.counts('completed') == [1], 'the first')
    for number in range(1, 3000):
        feed.publish(header(number))
    wait_for(
        lambda: sum(scene.counts('completed', 'lost')) == 3000,
        '3000 accounted for',
        seen=lambda: observer.values('echo'),
    )
    lost = scene.counts('lost')[0]
    assert (' messages were lost before they came here' in scene.manager.output) == (lost > 0)
    wait_for(
        lambda: len(scene.answers) == 3000 - lost,
        'the answers',
        seen=lambda: (lost, len(scene.answers), observer.values('echo')),
    )
    scene.check_health()


def test_enormous_messages_are_done(scene):
    """16 MB of text, four times: slow, but nobody dies."""
    scene = scene(task_timeout=30.0)
    for number in range(4):
        message = header(number)
        message.frame_id = 'x' * 16_000_000
        scene.feed.publish(message)
    wait_for(
        lambda: scene.counts('completed', 'refused') == [4, 0] and len(scene.answers) == 4,
        'four answers',
        60.0,
        lambda: (len(scene.answers), scene.observer.values('echo'), scene.manager.show()),
    )
    assert [len(each.frame_id) for each in scene.answers] == 4 * [16_000_000]
    scene.check_health()
