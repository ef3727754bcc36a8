# SPDX-License-Identifier: Apache-2.0
"""Records as vision_msgs."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from support.fake_messages import vision_msgs

from worker_pipeline import Latched
from worker_pipeline.airside.messages import vision
from worker_pipeline.airside.messages.optional import message_classes
from worker_pipeline.airside.messages.records import DETECTION, LOCATION, NO_LABEL, TARGET, UPRIGHT

HEADER = Header(frame_id='camera', stamp=Time(sec=5))


@pytest.fixture(autouse=True, params=['fake', 'real'])
def types(request, monkeypatch):
    if request.param == 'real' and vision.TYPES is None:
        pytest.skip('vision_msgs is not installed')
    if request.param == 'fake':
        monkeypatch.setattr(vision, 'TYPES', vision_msgs())


def test_a_detection_has_its_box_class_and_score():
    records = np.zeros(2, DETECTION)
    records[0] = (10.0, 20.0, 14.0, 30.0, 11.5, 27.0, 7, 0.75, *UPRIGHT)
    records['label'][1] = NO_LABEL
    found = vision.detections_2d(records, HEADER)
    assert found.header == HEADER
    first, second = found.detections
    centre = first.bbox.center.position
    assert (centre.x, centre.y, first.bbox.center.theta) == (12.0, 25.0, 0.0)
    assert (first.bbox.size_x, first.bbox.size_y) == (4.0, 10.0)
    (result,) = first.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('7', 0.75)
    assert first.header == HEADER
    assert second.results[0].hypothesis.class_id == '-1'


def test_an_oriented_box_has_its_own_sides_and_angle():
    records = np.zeros(1, DETECTION)
    records[0] = (10.0, 20.0, 14.0, 30.0, 12.0, 25.0, 7, 0.75, 0.5, 8.0, 3.0)
    (found,) = vision.detections_2d(records, HEADER).detections
    assert (found.bbox.size_x, found.bbox.size_y) == (8.0, 3.0)
    assert found.bbox.center.theta == 0.5
    assert (found.bbox.center.position.x, found.bbox.center.position.y) == (12.0, 25.0)


@pytest.mark.parametrize('kind', [LOCATION, TARGET])
def test_a_location_has_its_place_and_covariance(kind):
    records = np.zeros(1, kind)
    for name, value in {
        'x': 3.0,
        'y': 4.0,
        'z': 5.0,
        'label': 7,
        'confidence': 0.5,
        'var_east': 2.0,
        'var_north': 3.0,
        'cov_east_north': -0.5,
    }.items():
        records[name] = value
    (detection,) = vision.detections_3d(records, HEADER, 0.04).detections
    (result,) = detection.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('7', 0.5)
    for point in (result.pose.pose.position, detection.bbox.center.position):
        assert (point.x, point.y, point.z) == (3.0, 4.0, 5.0)
    assert detection.bbox.center.orientation.w == 1.0
    covariance = np.reshape(result.pose.covariance, (6, 6))
    np.testing.assert_allclose(
        covariance[:3, :3], [[2.0, -0.5, 0.0], [-0.5, 3.0, 0.0], [0.0, 0.0, 0.04]]
    )
    np.testing.assert_allclose(covariance[3:, 3:], np.pi**2 * np.eye(3))
    np.testing.assert_allclose(covariance, covariance.T)
    assert np.count_nonzero(covariance[3:, :3]) == 0


def test_an_image_without_detections_gives_an_empty_array():
    """Which is not the same as none."""
    assert vision.detections_2d(np.zeros(0, DETECTION), HEADER).detections == []
    assert vision.detections_3d(np.zeros(0, LOCATION), HEADER, 0.04).detections == []


def test_the_names_of_labels_are_told_as_far_as_there_is_room():
    found = vision.label_info({1000: 'person', 3: 'boat', -1: 'pad', 70_000: 'far'}, 0.5)
    assert [(each.class_id, each.class_name) for each in found.class_map] == [
        (3, 'boat'),
        (1000, 'person'),
    ]
    assert found.threshold == 0.5


def test_stages_have_topics_of_these_types():
    types = vision.TYPES
    assert vision.topics_2d() == {
        'detections': types.Detection2DArray,
        'label_info': Latched(types.LabelInfo),
    }
    assert vision.topics_3d() == {'detections_3d': types.Detection3DArray}


def test_without_vision_msgs_there_are_no_such_topics(monkeypatch):
    monkeypatch.setattr(vision, 'TYPES', None)
    assert vision.topics_2d() == vision.topics_3d() == {}


def test_a_package_that_is_missing_or_lacks_a_class_is_not_used():
    assert message_classes('no_such_msgs', 'Anything') is None
    assert message_classes('std_msgs', 'Header', 'NoSuchClass') is None
    assert message_classes('std_msgs', 'Header').Header is Header
