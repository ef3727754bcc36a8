# SPDX-License-Identifier: Apache-2.0
"""Transforms of the vehicle and its camera, against rotations by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from support.fake_messages import tf2_msgs

from worker_pipeline import AbsoluteTopic, Latched, TopicRecorder
from worker_pipeline.airside.geometry.pinhole import MOUNTING, Mounting
from worker_pipeline.airside.mavlink.axes import attitude_from_mavlink_euler, enu_from_ned
from worker_pipeline.airside.messages import transforms
from worker_pipeline.parameter import check_parameters

angles = st.floats(-math.pi, math.pi)
pitches = st.floats(-1.5, 1.5)
FORWARD, RIGHT, DOWN = np.eye(3)  # of a body in aviation: FRD


@pytest.fixture(autouse=True, params=['fake', 'real'])
def types(request, monkeypatch):
    if request.param == 'real' and transforms.TYPES is None:
        pytest.skip('tf2_msgs is not installed')
    if request.param == 'fake':
        monkeypatch.setattr(transforms, 'TYPES', tf2_msgs())


def odometry_of(roll, pitch, yaw, ned=(0.0, 0.0, 0.0)):
    """Return the Odometry of a vehicle at a place and attitude in MAVLink's terms."""
    found = Odometry(child_frame_id='base_link', header=Header(frame_id='map', stamp=Time(sec=5)))
    place, attitude = enu_from_ned(ned), attitude_from_mavlink_euler(roll, pitch, yaw)
    point, turn = found.pose.pose.position, found.pose.pose.orientation
    point.x, point.y, point.z = map(float, place)
    turn.x, turn.y, turn.z, turn.w = map(float, attitude)
    return found


def mounting(attitude=(0.0, math.pi / 2, 0.0), position=(0.0, 0.0, 0.0)):
    values = {'mounting_attitude': list(attitude), 'mounting_position': list(position)}
    return Mounting.from_params(check_parameters(MOUNTING, values))


def rotation(transform):
    turn = transform.transform.rotation
    return Rotation.from_quat([turn.x, turn.y, turn.z, turn.w])


def offset(transform):
    moved = transform.transform.translation
    return np.array([moved.x, moved.y, moved.z])


def in_enu(ned):
    north, east, down = ned
    return [east, north, -down]


@given(roll=angles, pitch=pitches, yaw=angles)
def test_the_axes_of_a_vehicle_point_in_the_map_where_they_point_in_ned(roll, pitch, yaw):
    """scipy turns from FRD to NED by yaw, pitch, roll, the convention of aviation."""
    aviation = Rotation.from_euler('ZYX', [yaw, pitch, roll])
    found = rotation(transforms.of_odometry(odometry_of(roll, pitch, yaw)))
    for ros, frd in (([1, 0, 0], FORWARD), ([0, 1, 0], -RIGHT), ([0, 0, 1], -DOWN)):
        np.testing.assert_allclose(found.apply(ros), in_enu(aviation.apply(frd)), atol=1e-9)


@pytest.mark.parametrize(
    ('heading', 'nose'), [(0, [0, 1, 0]), (90, [1, 0, 0]), (180, [0, -1, 0]), (270, [-1, 0, 0])]
)
def test_the_nose_points_to_the_heading(heading, nose):
    """Clockwise from north, in a frame that is east, north, up (REP 103)."""
    found = rotation(transforms.of_odometry(odometry_of(0, 0, math.radians(heading))))
    np.testing.assert_allclose(found.apply([1, 0, 0]), nose, atol=1e-12)
    np.testing.assert_allclose(found.apply([0, 0, 1]), [0, 0, 1], atol=1e-12)


def test_the_vehicle_is_where_it_is_in_ned():
    transform = transforms.of_odometry(odometry_of(0, 0, 0, ned=(10.0, 20.0, -50.0)))
    assert offset(transform).tolist() == [20.0, 10.0, 50.0]
    assert (transform.header.frame_id, transform.child_frame_id) == ('map', 'base_link')
    assert transform.header.stamp == Time(sec=5)


@given(roll=angles, pitch=pitches, yaw=angles)
def test_a_camera_is_turned_in_the_body_by_its_mounting(roll, pitch, yaw):
    """Its frame is optical: right, down, along the line of sight (REP 103)."""
    body_from_level = Rotation.from_euler('xyz', [roll, pitch, yaw])  # about fixed axes
    mounted = mounting((roll, pitch, yaw), (0.1, 0.2, -0.3))
    transform = transforms.of_mounting(mounted, 'base_link', 'camera')
    for optical, level in (
        ([0, 0, 1], [1, 0, 0]),
        ([1, 0, 0], [0, -1, 0]),
        ([0, 1, 0], [0, 0, -1]),
    ):
        np.testing.assert_allclose(
            rotation(transform).apply(optical), body_from_level.apply(level), atol=1e-9
        )
    assert offset(transform).tolist() == [0.1, 0.2, -0.3]
    assert (transform.header.frame_id, transform.child_frame_id) == ('base_link', 'camera')


def test_a_camera_that_looks_down_from_a_vehicle_to_the_east_sees_south_at_its_right():
    """The whole chain: map from base_link from camera."""
    world = rotation(transforms.of_odometry(odometry_of(0, 0, math.radians(90))))
    camera = rotation(transforms.of_mounting(mounting(), 'base_link', 'camera'))
    optical = world * camera
    np.testing.assert_allclose(optical.apply([0, 0, 1]), [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(optical.apply([1, 0, 0]), [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(optical.apply([0, -1, 0]), [1, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ('parent', 'child', 'w'),
    [('', 'base_link', 1.0), ('map', '', 1.0), ('map', 'map', 1.0), ('map', 'base_link', 0.0)],
    ids=['no parent', 'no child', 'the same', 'no attitude'],
)
def test_odometry_that_is_no_transform_is_left_out(parent, child, w):
    odometry = odometry_of(0, 0, 0)
    odometry.header.frame_id, odometry.child_frame_id = parent, child
    odometry.pose.pose.orientation.z = 0.0
    odometry.pose.pose.orientation.w = w
    assert transforms.of_odometry(odometry) is None
    topic = TopicRecorder()
    transforms.publish_odometry(odometry, {'tf': topic})
    assert not topic.messages


def test_a_transform_is_published_for_subscribers_only():
    for topic in (TopicRecorder(), TopicRecorder(has_subscribers=False)):
        transforms.publish_odometry(odometry_of(0, 0, 0), {'tf': topic})
        assert [len(each.transforms) for each in topic.messages] == [1] * topic.has_subscribers
    transforms.publish_odometry(odometry_of(0, 0, 0), {})  # without tf2_msgs


def test_a_message_that_its_worker_will_stamp_has_that_stamp_in_its_transform():
    odometry, topic = odometry_of(0, 0, 0), TopicRecorder()
    transforms.publish_odometry(odometry, {'tf': topic}, Time(sec=7))
    odometry.header.stamp = Time()
    transforms.publish_odometry(odometry, {'tf': topic}, Time(sec=7))
    stamps = [each.transforms[0].header.stamp.sec for each in topic.messages]
    assert stamps == [5, 7]
    assert odometry.header.stamp == Time()


def test_a_quaternion_of_another_length_is_normalized():
    odometry = odometry_of(0.1, 0.2, 0.3)
    turn = odometry.pose.pose.orientation
    turn.x, turn.y, turn.z, turn.w = (3 * each for each in (turn.x, turn.y, turn.z, turn.w))
    turn = transforms.of_odometry(odometry).transform.rotation
    assert np.linalg.norm([turn.x, turn.y, turn.z, turn.w]) == pytest.approx(1.0)


def test_a_cameras_frame_is_published_once_for_each_name_of_it():
    topic = TopicRecorder(has_subscribers=False)  # for those who come later
    frame = transforms.CameraFrame({'tf_static': topic}, mounting(), 'base_link')
    for name in ('camera', 'camera', 'thermal', '', 'base_link', 'thermal'):
        frame.publish(Header(frame_id=name, stamp=Time(sec=9)))
    sent = [each.transforms[0] for each in topic.messages]
    assert [each.child_frame_id for each in sent] == ['camera', 'thermal']
    assert sent[0].header == Header(frame_id='base_link', stamp=Time(sec=9))
    transforms.CameraFrame({}, mounting(), 'base_link').publish(Header(frame_id='camera'))


def test_stages_publish_on_the_topics_that_everybody_uses():
    moving, fixed = transforms.tf_topics(), transforms.tf_static_topics()
    kind = transforms.TYPES.TFMessage
    assert moving == {'tf': AbsoluteTopic('/tf', kind)}
    assert fixed == {'tf_static': AbsoluteTopic('/tf_static', Latched(kind))}


def test_without_tf2_msgs_there_are_no_such_topics(monkeypatch):
    monkeypatch.setattr(transforms, 'TYPES', None)
    assert transforms.tf_topics() == transforms.tf_static_topics() == {}
