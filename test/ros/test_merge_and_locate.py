# SPDX-License-Identifier: Apache-2.0
"""Data merge and geolocation in processes that are killed: the locations are the same."""

from __future__ import annotations

from flown import configured, detections_at
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2

from worker_pipeline import ContextBuffer
from worker_pipeline.airside.data_merge import DataMerge
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.context import stamp_ns
from worker_pipeline.testing import wait_for

IMAGES = 45
KILLS = {10: 'data_merge/worker_0', 20: 'geolocation/worker_0', 30: 'data_merge/worker_0'}
LATER = 30_000_000  # ns, of an image after the newest odometry: it has to wait for the next


def stages() -> dict:
    patient = {'max_wait': 30.0, 'first_wait': 30.0}
    return {
        'flight_interface': {
            'plugin': 'worker_pipeline.airside.flight_interface:FlightInterface',
            'period': 0.05,
        },
        'data_merge': {
            'plugin': 'worker_pipeline.airside.data_merge:DataMerge',
            'context': {'odometry': 'flight_interface'},
            'queue_size': 1000,
            'task_timeout': 60.0,
            'params': patient,
        },
        'geolocation': {
            'plugin': 'worker_pipeline.airside.geolocation:Geolocation',
            'input': 'data_merge',
            'overflow': 'block',
        },
    }


def image_after(odometry, number):
    message = detections_at([[10.0 * number, 600.0], [960.0, 20.0 * number]], 0.0, label=number)
    stamp = stamp_ns(odometry.header.stamp) + LATER
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    return message


def places_of(images, odometry):
    """Return the output of both stages in one process, without kills."""
    buffer = ContextBuffer(len(odometry))
    for message in odometry:
        buffer.add(message)
    merge, locate = configured(DataMerge(), {}, {'odometry': buffer}), configured(Geolocation())
    return [point_cloud.from_message(locate.process(stamped(merge, each))) for each in images]


def stamped(stage, item):
    output = stage.process(item)
    output.header.stamp = item.header.stamp
    return output


def test_locations_are_unchanged_by_kills(start, observer):
    """Twice while an image waits for its pose: the next worker receives the earlier odometry."""
    names = stages()
    manager = start({'stages': list(names), **names})
    odometry = observer.collect('flight_interface/output', Odometry)
    answers = observer.collect('geolocation/output', PointCloud2)
    feed = observer.feeder('data_merge/input', PointCloud2)
    for name in names:
        observer.wait_until_active(name)
    images = []
    for number in range(IMAGES):
        known = len(odometry)
        wait_for(lambda known=known: len(odometry) > known, 'more odometry', seen=manager.show)
        images.append(image_after(odometry[-1], number))
        feed.publish(images[-1])
        if number in KILLS:
            victim = observer.kill(KILLS[number])
            observer.wait_until_replaced(KILLS[number], victim)
    wait_for(lambda: len(answers) >= IMAGES, 'all answers', seen=lambda: len(answers))
    last = stamp_ns(images[-1].header.stamp)
    wait_for(lambda: stamp_ns(odometry[-1].header.stamp) > last, 'the odometry after them')
    assert [each.header.stamp for each in answers] == [each.header.stamp for each in images]
    for found, expected in zip(answers, places_of(images, odometry), strict=True):
        assert point_cloud.from_message(found).tobytes() == expected.tobytes()
        assert len(expected) == 2
    wait_for(lambda: observer.count('data_merge', 'redelivered') >= 1, 'what was given out again')
