# SPDX-License-Identifier: Apache-2.0
"""Plain cameras of every encoding in front of detect_target: a marker is found as in bgr8."""

from __future__ import annotations

import itertools
import time

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from support.encoded_images import ALL, compressed_image, image_of
from support.observer import header

from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.mission.watcher import Watcher
from worker_pipeline.testing import wait_for

MODULE = 'worker_pipeline.airside.detect_target'
SIZE = {'width': 320, 'height': 240}
MARKER = 23
AT = (149.5, 109.5)
SHARED = {
    name: {
        'plugin': f'{MODULE}:{plugin}',
        'input': topic,
        'params': {**SIZE, 'detector': ['aruco']},
    }
    for name, plugin, topic in (
        ('detect_target', 'DetectTarget', '/camera/image_raw'),
        ('search_compressed', 'DetectTargetCompressed', '/camera/image_raw/compressed'),
        ('search_other', 'DetectTarget', '/other'),
    )
}
NUMBERS = itertools.count(1)
PERIOD = 0.1  # s, of the camera; best effort, so faster ones would be lost


def scene():
    """Return pixels (H, W, 3), RGB, with a marker on bright ground."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    grey = np.full((SIZE['height'], SIZE['width']), 220, np.uint8)
    marker = cv2.aruco.generateImageMarker(dictionary, MARKER, 100)
    grey[60:160, 100:200] = np.where(marker, 220, 30)
    return np.stack([grey] * 3, -1)


def publisher(observer, kind, topic):
    """Return a best-effort publisher, as those of most drivers."""
    # By default it would log that a subscriber asked for more, by a call that is deprecated.
    quiet = PublisherEventCallbacks(use_default_callbacks=False)
    return observer.node.create_publisher(
        kind, topic, qos_profile_sensor_data, event_callbacks=quiet
    )


class Camera:
    """A plain node's publisher, as drivers have it, and what the stage answers."""

    def __init__(self, observer, stage, topic, kind):
        self.observer, self.stage = observer, stage
        self.answers = observer.collect(f'{stage}/output', PointCloud2)
        self.publisher = publisher(observer, kind, topic)
        observer.wait_until_active(stage, 1)

    def searched(self, message, name):
        """Return the answer to a message; it is sent until one arrives, as a camera would."""
        sent_at = float('-inf')

        def is_answered():
            nonlocal sent_at
            if time.monotonic() - sent_at > PERIOD:
                message.header = header(next(NUMBERS))
                message.header.frame_id = name
                self.publisher.publish(message)
                sent_at = time.monotonic()
            return any(each.header.frame_id == name for each in self.answers)

        wait_for(is_answered, f'an answer to {name}', seen=lambda: len(self.answers))
        return next(each for each in self.answers if each.header.frame_id == name)

    def close(self):
        self.observer.node.destroy_publisher(self.publisher)


@pytest.fixture(scope='module')
def raw(shared):
    made = Camera(shared.observer, 'detect_target', '/camera/image_raw', Image)
    yield made
    made.close()


@pytest.fixture(scope='module')
def compressed(shared):
    topic = '/camera/image_raw/compressed'
    made = Camera(shared.observer, 'search_compressed', topic, CompressedImage)
    yield made
    made.close()


def check_found(answer):
    assert point_cloud.is_searched(answer)
    (found,) = point_cloud.from_message(answer)
    assert found['label'] == MARKER
    assert [found['u'], found['v']] == pytest.approx(AT, abs=0.5)


@pytest.mark.parametrize('name', ALL)
def test_a_marker_is_found_whatever_the_camera_publishes(raw, name):
    check_found(raw.searched(image_of(name, scene()), name))


@pytest.mark.parametrize('name', ['rgb8', 'mono16', 'nv12', 'bayer_grbg16', '32FC1'])
def test_rows_may_be_padded_and_words_in_either_order(raw, name):
    message = image_of(name, scene(), padding=64, big_endian=True)
    check_found(raw.searched(message, f'{name}, padded'))


@pytest.mark.parametrize(
    ('text', 'kind', 'dtype'),
    [
        ('rgb8; jpeg compressed bgr8', '.jpg', np.uint8),
        ('jpeg', '.jpg', np.uint8),
        ('bgr8; png compressed bgr8', '.png', np.uint8),
        ('rgb16; png compressed bgr16', '.png', np.uint16),
    ],
)
def test_a_marker_is_found_in_compressed_images(compressed, text, kind, dtype):
    data = cv2.imencode(kind, scene().astype(dtype))[1].tobytes()
    check_found(compressed.searched(compressed_image(text, data), text))


def test_a_marker_is_found_in_a_compressed_thermal_image(compressed):
    words = 7000 + scene()[..., 0].astype(np.uint16)
    data = cv2.imencode('.png', words)[1].tobytes()
    check_found(compressed.searched(compressed_image('mono16; png compressed ', data), 'thermal'))


def test_what_cannot_be_read_is_said_not_to_be_searched(shared, raw):
    """The log has one line, the worker a counter, and the next image is searched."""
    message = image_of('rgb8', scene())
    message.encoding = 'jpeg2000'
    answers = [raw.searched(message, f'unreadable {number}') for number in range(3)]
    assert not any(point_cloud.is_searched(each) for each in answers)
    worker = 'detect_target/worker_0'
    wait_for(
        lambda: int(shared.observer.values(worker).get('unreadable_images', 0)) >= 3,
        'the counter',
        seen=lambda: shared.observer.values(worker),
    )
    assert 'refused' not in shared.observer.values(worker)
    assert shared.observer.values('detect_target')['refused'] == '0'
    (told,) = (line for line in shared.manager.output.splitlines() if 'are not searched' in line)
    assert told.startswith('[WARN]')
    assert "images are not searched: encoding: found 'jpeg2000'; allowed: mono8, bgr8" in told
    check_found(raw.searched(image_of('rgb8', scene()), 'the next one'))


def test_the_mission_knows_which_frames_were_not_searched(shared, raw, monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(shared.domain))
    watcher = Watcher()
    unreadable = image_of('rgb8', scene())
    unreadable.encoding = 'jpeg2000'
    numbers = itertools.count()

    def are_seen():
        number = next(numbers)
        raw.searched(image_of('rgb8', scene()), f'watched {number}')
        raw.searched(unreadable, f'watched, unreadable {number}')
        watcher.spin(0.1)
        records = watcher.observation.records.get('detect_target', {})
        return watcher.observation.unsearched and 1 in records.values()

    wait_for(are_seen, 'both kinds of frames', seen=lambda: watcher.observation.records)
    records = watcher.observation.records['detect_target']
    assert {records[each] for each in watcher.observation.unsearched} == {0}
    searched = records.keys() - watcher.observation.unsearched
    assert {records[each] for each in searched} == {1}
    watcher.close()


def test_a_compressed_camera_on_the_topic_of_an_image_is_told(shared):
    """Nothing would come, and nothing would be said."""
    observer = shared.observer
    observer.wait_until_active('search_other', 1)
    made = publisher(observer, CompressedImage, '/other')
    told = '/other is published as sensor_msgs/msg/CompressedImage, which is not received'
    observer.wait_for_status('search_other', DiagnosticStatus.WARN, told)
    observer.node.destroy_publisher(made)
    observer.wait_for_status('search_other', DiagnosticStatus.OK)
