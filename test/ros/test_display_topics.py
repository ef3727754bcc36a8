# SPDX-License-Identifier: Apache-2.0
"""What stages publish for displays and other nodes, received by a plain node."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.airside.messages import image, markers
from worker_pipeline.testing import wait_for

BEST_EFFORT = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=10, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
AIRSIDE = 'worker_pipeline.airside'


def small():
    """Return the intrinsics of a small camera: new ones each time, as ROS reads no YAML aliases."""
    centre = [159.5, 119.5]
    return {
        'width': 320,
        'height': 240,
        'focal_length': [475.8, 475.8],
        'principal_point': centre,
    }


SHARED = {
    'announcing': stage('Announcing'),
    'detect_target': {
        'plugin': f'{AIRSIDE}.detect_target:DetectTarget',
        'input': '/camera/image_raw',
        'params': {'width': 320, 'height': 240, 'detector': ['contour']},
    },
    'flight_interface': {'plugin': f'{AIRSIDE}.flight_interface:FlightInterface', 'period': 0.05},
    'data_merge': {
        'plugin': f'{AIRSIDE}.data_merge:DataMerge',
        'input': 'detect_target',
        'context': {'odometry': 'flight_interface'},
    },
    'geolocation': {
        'plugin': f'{AIRSIDE}.geolocation:Geolocation',
        'input': 'data_merge',
        'context': {'odometry': 'flight_interface'},
        'params': small(),
    },
    'cluster_estimation': {
        'plugin': f'{AIRSIDE}.cluster_estimation:ClusterEstimation',
        'input': 'geolocation',
    },
}


@pytest.fixture
def camera(shared):
    """A plain node's camera, which sees an orange pad."""
    node = shared.observer.node
    pixels = np.full((240, 320, 3), (60, 110, 70), np.uint8)
    cv2.circle(pixels, (160, 120), 20, (0, 140, 255), -1, cv2.LINE_AA)
    message = image.to_message(pixels, 'camera')
    publisher = node.create_publisher(Image, '/camera/image_raw', QoSProfile(depth=5))

    def publish():
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    timer = node.create_timer(0.1, publish)
    yield
    node.destroy_timer(timer)
    node.destroy_publisher(publisher)


def subscribed(observer, kind, topic, profile):
    received = []
    observer.node.create_subscription(kind, topic, received.append, profile)
    return received


def test_topics_have_the_names_that_are_declared(shared):
    """Below the stage, as a variant of a topic, or absolute; latched for those who come late."""
    observer = shared.observer
    variant = subscribed(
        observer, Header, '/airside/announcing/item/compressed', QoSProfile(depth=9)
    )
    absolute = subscribed(observer, Header, '/frames', QoSProfile(depth=9))
    observer.wait_until_active('announcing', 1)
    feeder = observer.feeder('announcing/input')
    number = 0

    def are_heard():
        nonlocal number
        feeder.publish(header(number))
        number += 1
        return variant and absolute

    wait_for(are_heard, 'both')
    late = subscribed(observer, Header, '/fixed_frames', LATCHED)
    wait_for(lambda: late, 'the latched one')
    assert 0 <= number_of(late[0]) < number


@pytest.mark.usefixtures('camera')
def test_the_annotated_picture_is_compressed_as_image_transport_does(shared):
    observer = shared.observer
    observer.wait_until_active('detect_target', 1)
    pictures = subscribed(
        observer, CompressedImage, '/airside/detect_target/annotated/compressed', BEST_EFFORT
    )
    wait_for(lambda: pictures, 'a picture')
    assert pictures[0].format == 'bgr8; jpeg compressed bgr8'
    assert pictures[0].header.frame_id == 'camera'
    assert pictures[0].header.stamp.sec > 0
    found = cv2.imdecode(np.frombuffer(pictures[0].data, np.uint8), cv2.IMREAD_COLOR)
    assert found.shape == (120, 160, 3)


@pytest.mark.usefixtures('camera')
def test_the_ground_in_view_and_targets_are_markers(shared):
    if markers.TYPES is None:
        pytest.skip('visualization_msgs is not installed')
    observer = shared.observer
    observer.wait_until_active('geolocation', 1)
    kind = markers.TYPES.MarkerArray
    views = subscribed(observer, kind, '/airside/geolocation/markers', QoSProfile(depth=9))
    targets = subscribed(observer, kind, '/airside/cluster_estimation/markers', QoSProfile(depth=9))

    def footprint():
        return [each for array in views for each in array.markers if each.ns == 'footprint']

    wait_for(footprint, 'the ground in view', seen=lambda: (views, targets))
    line = footprint()[0]
    assert line.header.frame_id == 'map'
    assert len(line.points) == 9
    wait_for(lambda: targets, 'targets')


@pytest.mark.usefixtures('camera')
def test_frames_are_transforms(shared):
    message_types = pytest.importorskip('tf2_msgs.msg')
    observer = shared.observer
    observer.wait_until_active('geolocation', 1)
    moving = subscribed(observer, message_types.TFMessage, '/tf', QoSProfile(depth=100))
    fixed = subscribed(observer, message_types.TFMessage, '/tf_static', LATCHED)
    wait_for(lambda: moving and fixed, 'transforms', seen=lambda: (moving, fixed))
    pose, mounting = moving[0].transforms[0], fixed[0].transforms[0]
    assert (pose.header.frame_id, pose.child_frame_id) == ('map', 'base_link')
    assert pose.header.stamp.sec > 0
    assert (mounting.header.frame_id, mounting.child_frame_id) == ('base_link', 'camera')


@pytest.mark.usefixtures('camera')
def test_detections_are_vision_msgs(shared):
    types = pytest.importorskip('vision_msgs.msg')
    observer = shared.observer
    observer.wait_until_active('cluster_estimation', 1)
    depth = QoSProfile(depth=10)
    flat = subscribed(observer, types.Detection2DArray, '/airside/detect_target/detections', depth)
    solid = [
        subscribed(observer, types.Detection3DArray, f'/airside/{name}/detections_3d', depth)
        for name in ('geolocation', 'cluster_estimation')
    ]
    names = subscribed(observer, types.LabelInfo, '/airside/detect_target/label_info', LATCHED)
    wait_for(lambda: flat and all(solid) and names, 'all', seen=lambda: (flat, solid, names))
    assert flat[0].header.frame_id == 'camera'
    assert solid[0][0].header.frame_id == 'map'
