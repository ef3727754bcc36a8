# SPDX-License-Identifier: Apache-2.0
"""What stages publish for displays and other nodes: only to subscribers, and at a limited rate."""

from __future__ import annotations

import numpy as np
import pytest
from flown import configured, flown_odometry, stamp_at, tick
from support.fake_messages import tf2_msgs, vision_msgs, visualization_msgs

from worker_pipeline import ContextBuffer, TopicRecorder
from worker_pipeline.airside import cluster_estimation, geolocation
from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.messages import markers, point_cloud, transforms, vision
from worker_pipeline.airside.messages.records import (
    LOCATION,
    NO_LABEL,
    OBSERVATION,
    POSE,
    POSE_VARIANCES,
)
from worker_pipeline.airside.odometry_relay import OdometryRelay


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    found = Clock()
    for module in (cluster_estimation, geolocation):
        monkeypatch.setattr(module, 'time', found)
    return found


@pytest.fixture(autouse=True)
def all_packages(monkeypatch):
    """Every optional package, and stages as they are declared with them."""
    monkeypatch.setattr(markers, 'TYPES', visualization_msgs())
    monkeypatch.setattr(vision, 'TYPES', vision_msgs())
    monkeypatch.setattr(transforms, 'TYPES', tf2_msgs())
    shown = {**markers.marker_topics(), **vision.topics_3d()}
    monkeypatch.setattr(ClusterEstimation, 'topics', shown)
    monkeypatch.setattr(Geolocation, 'topics', {**shown, **transforms.tf_static_topics()})
    for stage in (FlightInterface, OdometryRelay):
        topics = {**stage.topics, **transforms.tf_topics()}
        monkeypatch.setattr(stage, 'topics', topics)


def heard(stage, *names):
    for name, topic in stage.topic.items():
        topic.has_subscribers = name in names
    return [stage.topic[name].messages for name in names]


def locations(count=1, seconds=0.0):
    records = np.zeros(count, LOCATION)
    records['x'] = 100.0 * np.arange(count)
    records['var_east'] = records['var_north'] = 1.0
    records['label'] = NO_LABEL
    message = point_cloud.to_message(records, 'map')
    message.header.stamp = stamp_at(seconds)
    return message


def observed(count=1, seconds=1.0):
    records = np.zeros(count, OBSERVATION)
    records['u'], records['v'], records['label'] = 960.0, 600.0, 7
    for name, value in zip(POSE, (3.0, 4.0, 60.0, 0.0, 0.0, 0.0, 1.0), strict=True):
        records[name] = value
    for name in POSE_VARIANCES:
        records[name] = 1e-4
    message = point_cloud.to_message(records, 'camera')
    message.header.stamp = stamp_at(seconds)
    return message


def test_targets_are_shown_now_and_then(clock):
    stage = configured(ClusterEstimation(), {'min_sightings': 1})
    arrays, detections = heard(stage, 'markers', 'detections_3d')
    for number in range(10):
        stage.process(locations(2, seconds=number))
        clock.now += 0.2
    assert len(arrays) == len(detections) == 4  # of 2 s, at most every 0.5 s
    assert [len(each.markers) for each in arrays] == [5] * 4
    assert [len(each.detections) for each in detections] == [2] * 4
    assert arrays[-1].markers[0].header.frame_id == 'map'
    assert arrays[-1].markers[0].header.stamp == stamp_at(9.0)
    covariance = detections[-1].detections[0].results[0].pose.covariance
    assert covariance[14] == pytest.approx(0.04)


@pytest.mark.parametrize('make', [ClusterEstimation, Geolocation])
def test_nothing_is_made_for_nobody(make, monkeypatch):
    monkeypatch.setattr(markers, 'TYPES', None)  # it would fail
    monkeypatch.setattr(vision, 'TYPES', None)
    stage = configured(make(), {'publish_tf': False} if make is Geolocation else {})
    heard(stage)
    stage.process(locations() if make is ClusterEstimation else observed())


def test_the_ground_in_view_is_shown_with_what_is_located_in_it(clock):
    stage = configured(Geolocation())
    arrays, detections = heard(stage, 'markers', 'detections_3d')
    for _ in range(3):
        stage.process(observed(2))
        clock.now += 0.11
    assert len(arrays) == 2  # at most every 0.2 s
    assert len(detections) == 3  # for each image
    _, line, *discs = arrays[0].markers
    assert len(discs) == 2
    corners = np.array([[each.x, each.y] for each in line.points])
    np.testing.assert_allclose(corners[:-1].mean(axis=0), [3.0, 4.0], atol=0.1)
    place = detections[0].detections[0].results[0].pose.pose.position
    np.testing.assert_allclose([place.x, place.y, place.z], [3.0, 4.0, 0.0], atol=0.05)


def test_with_odometry_the_ground_in_view_is_shown_for_images_without_detections(clock):
    stage = configured(Geolocation(), context={'odometry': flown_odometry(0.0, 2.0)})
    (arrays,) = heard(stage, 'markers')
    stage.process(observed(0, seconds=1.03))
    clock.now += 1.0
    stage.process(observed(0, seconds=60.0))  # where there is none
    assert [len(each.markers) for each in arrays] == [2, 1]
    assert len(arrays[0].markers[1].points) == 9


def test_without_odometry_only_images_with_detections_show_it():
    stage = configured(Geolocation(), context={'odometry': ContextBuffer()})
    (arrays,) = heard(stage, 'markers')
    stage.process(observed(0))
    assert [len(each.markers) for each in arrays] == [1]


def test_the_mounting_of_the_camera_is_published_once(clock):
    stage = configured(Geolocation(), {'mounting_position': [0.1, 0.0, -0.2]})
    for number in range(3):
        stage.process(observed(0, seconds=number))
        clock.now += 1.0
    ((transform,),) = [each.transforms for each in stage.topic['tf_static'].messages]
    assert (transform.header.frame_id, transform.child_frame_id) == ('base_link', 'camera')
    assert transform.transform.translation.z == -0.2


@pytest.mark.parametrize('publish', [True, False])
def test_the_pose_of_the_vehicle_is_a_transform_with_the_stamp_of_its_odometry(publish):
    stage = configured(FlightInterface(), {'publish_tf': publish})
    heard(stage, 'tf')
    odometry = stage.process(tick(3.0))
    sent = stage.topic['tf'].messages
    assert len(sent) == publish
    for message in sent:
        (transform,) = message.transforms
        assert transform.header.stamp == stamp_at(3.0)
        assert transform.transform.translation.x == odometry.pose.pose.position.x
        assert transform.transform.rotation == odometry.pose.pose.orientation


@pytest.mark.parametrize('publish', [True, False])
def test_relayed_odometry_is_a_transform_on_request(publish):
    """Whoever publishes it, as MAVROS, may do so too."""
    stage = OdometryRelay()
    stage.bind({'publish_tf': publish}, topic={'tf': TopicRecorder()})
    odometry = flown_odometry(0.0, 0.1).latest()
    assert stage.process(odometry) is odometry
    assert stage.process(odometry) is None  # not newer
    assert len(stage.topic['tf'].messages) == publish


def test_a_relay_does_not_by_default():
    stage = OdometryRelay()
    stage.bind()
    assert not stage.params['publish_tf']
