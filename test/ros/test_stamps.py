# SPDX-License-Identifier: Apache-2.0
"""A plain driver that stamps its messages in each of the ways that drivers do."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Imu
from std_msgs.msg import Header
from support.configuring import stage

from worker_pipeline.testing import wait_for

SECOND = 10**9
PERIOD = 0.02  # s
OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN


def now() -> int:
    return time.time_ns()


# By the stage that has the topic of that name as its input: the stamp of the time of sending.
STAMPS: dict[str, Callable[[int], int]] = {
    'good': lambda _: now(),
    'boot': lambda _: time.monotonic_ns(),
    'ahead': lambda _: now() + SECOND // 2,
    'corrected': lambda _: now() + SECOND // 2,
    'late': lambda _: now() - 130_000_000,
    'recorded': lambda _: now() - 86_400 * SECOND,
    'jumping': lambda number: now() - number % 2 * 3 * SECOND,
    'zero': lambda _: 0,
    'by_arrival': lambda _: 0,
}
SETTINGS = {'corrected': {'stamp_offset': -0.5}, 'by_arrival': {'stamps': 'arrival'}}
FOUND = {
    'good': (OK, 'ok'),
    'boot': (WARN, 'time since the boot of this machine'),
    'ahead': (WARN, 'ahead of their arrival: another clock'),
    'corrected': (OK, 'ok'),
    'late': (OK, 'the latency of their source, or a constant offset'),
    'recorded': (OK, 'another clock, or a recording'),
    'jumping': (WARN, 'stamps are jumping'),
    'zero': (WARN, 'stamps are zero'),
    'by_arrival': (OK, 'arrival'),
}
SHARED = {
    name: stage('Echo', input=f'/{name}', queue_size=1000, **SETTINGS.get(name, {}))
    for name in STAMPS
}


class Driver:
    """A plain node's publisher of headers, every ``PERIOD``."""

    def __init__(self, observer, name: str, stamp: Callable[[int], int]) -> None:
        self._stamp = stamp
        self._publisher = observer.node.create_publisher(Header, f'/{name}', QoSProfile(depth=100))
        self._timer = observer.node.create_timer(PERIOD, self._publish)
        self._node = observer.node
        self._number = 0

    def _publish(self) -> None:
        self._number += 1
        message = Header(frame_id=str(self._number))
        message.stamp.sec, message.stamp.nanosec = divmod(self._stamp(self._number), SECOND)
        self._publisher.publish(message)

    def close(self) -> None:
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)


@pytest.mark.parametrize('name', STAMPS)
def test_what_a_driver_stamps_is_found_and_told_once(shared, name):
    """In the diagnostics while it lasts, with the level that it deserves; in the log once."""
    observer = shared.observer
    observer.wait_until_active(name, 1)
    answers = observer.collect(f'{name}/output')
    driver = Driver(observer, name, STAMPS[name])
    level, text = FOUND[name]
    try:
        wait_for(
            lambda: text in observer.values(name).get(f'/{name}.stamps', ''),
            text,
            seen=partial(observer.values, name),
        )
        observer.wait_for_status(name, level)
        if name != 'zero':
            wait_for(lambda: len(answers) > 50, 'items', seen=lambda: len(answers))
    finally:
        driver.close()
    told = [line for line in shared.manager.output.splitlines() if f' /{name}: stamps ' in line]
    assert len(told) == (0 if level == OK and text in ('ok', 'arrival') else 1), told
    if name == 'zero':
        assert observer.count(name, 'refused') > 0
        assert 'or zero.stamps: arrival, which stamps messages' in shared.manager.output
        assert not answers
    if name in ('by_arrival', 'corrected'):
        (stamp,) = [each.stamp.sec * SECOND + each.stamp.nanosec for each in answers[-1:]]
        assert abs(now() - stamp) < 60 * SECOND
    if name == 'good':
        values = observer.values(name)
        assert 0 <= float(values['/good.stamp_offset_ms']) < 1000
        assert float(values['/good.rate_hz']) == pytest.approx(1 / PERIOD, rel=0.3)


def test_a_message_of_an_ordinary_type_is_stamped_at_its_arrival_and_otherwise_as_it_was(
    start, observer
):
    """Its stamp is written into the serialised message."""
    section = {'plugin': 'support.stages:PassImu', 'input': '/imu', 'stamps': 'arrival'}
    start({'stages': ['inertial'], 'inertial': section})
    observer.wait_until_active('inertial', 1)
    answers = []
    observer.node.create_subscription(
        Imu, '/airside/inertial/output', answers.append, QoSProfile(depth=10)
    )
    publisher = observer.node.create_publisher(Imu, '/imu', QoSProfile(depth=10))
    sent = Imu()
    sent.header.frame_id = 'imu_link'
    sent.linear_acceleration.z = 9.81

    def is_heard() -> bool:
        publisher.publish(sent)
        return bool(answers)

    wait_for(is_heard, 'an answer')
    stamp = answers[0].header.stamp
    assert abs(now() - stamp.sec * SECOND - stamp.nanosec) < 60 * SECOND
    stamp.sec = stamp.nanosec = 0
    assert answers[0] == sent
