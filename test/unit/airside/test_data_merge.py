# SPDX-License-Identifier: Apache-2.0
"""Merging detections with the pose of the vehicle."""

from __future__ import annotations

import copy
import logging
import math
import threading
import time

import numpy as np
import pytest
from flown import configured, detections_at, flown_odometry, stamp_at
from geometry_msgs.msg import Quaternion
from sensor_msgs.msg import PointCloud2

from worker_pipeline import ContextBuffer
from worker_pipeline.airside.data_merge import DataMerge
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.odometry_pose import interpolate
from worker_pipeline.airside.messages.records import OBSERVATION, POSE, POSE_VARIANCES
from worker_pipeline.airside.simulation.flight import SimulatedFlight

AT_ONCE = {'max_wait': 0.0, 'first_wait': 0.0}
VARIANCES = (0.1, 0.2, 0.3, 1e-3, 2e-3, 3e-3)


@pytest.fixture
def odometry():
    """Ten seconds of the flight, every 50 ms."""
    return flown_odometry()


def merging(odometry=None, **params):
    context = {} if odometry is None else {'odometry': odometry}
    return configured(DataMerge(), AT_ONCE | params, context)


def merged(stage, message):
    return point_cloud.from_message(stage.process(message))


def pose_of(record):
    return [record[name] for name in POSE]


def only(*messages):
    buffer = ContextBuffer()
    for message in messages:
        buffer.add(copy.deepcopy(message))
    return buffer


@pytest.mark.slow
def test_every_detection_has_the_pose_of_its_image(odometry):
    found = merged(merging(odometry), detections_at([[1, 2], [3, 4]], 4.325))
    assert found.dtype == OBSERVATION
    truth = SimulatedFlight().state(4.325).pose
    np.testing.assert_allclose(pose_of(found[0])[:3], truth.position, atol=0.002)
    np.testing.assert_allclose(abs(pose_of(found[0])[3:] @ truth.orientation), 1.0, atol=1e-6)
    assert pose_of(found[0]) == pose_of(found[1])
    assert list(found['v']) == [2, 4]
    assert list(found['label']) == [7, 7]


def test_the_pose_is_the_one_between_the_two_messages(odometry):
    early, late = odometry.around(stamp_at(4.325))
    expected = interpolate(early, late, stamp_at(4.325))
    (found,) = merged(merging(odometry), detections_at([[1, 2]], 4.325))
    assert pose_of(found) == [*expected.position, *expected.orientation]


def test_the_covariance_is_interpolated_and_about_the_bodys_axes(odometry):
    """The vehicle flies north: a rotation about the world's x is one about its own negative y."""
    early, late = (copy.deepcopy(each) for each in odometry.around(stamp_at(4.325)))
    for message, factor in ((early, 1.0), (late, 3.0)):
        message.pose.covariance = (np.diag(VARIANCES) * factor).ravel()
        turn = message.pose.pose.orientation
        turn.x, turn.y, turn.z, turn.w = 0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)
    (found,) = merged(merging(only(early, late)), detections_at([[1, 2]], 4.325))
    expected = 2 * np.array([0.1, 0.2, 0.3, 2e-3, 1e-3, 3e-3])
    np.testing.assert_allclose([found[name] for name in POSE_VARIANCES], expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('unknown', [0.0, -1.0, math.nan, math.inf])
def test_an_unknown_variance_is_taken_from_the_parameters(odometry, unknown):
    message = copy.deepcopy(odometry.latest())
    covariance = np.diag(VARIANCES)
    covariance[0, 0] = covariance[5, 5] = unknown
    covariance[0, 1] = covariance[1, 0] = 0.05
    message.pose.covariance = covariance.ravel()
    deviations = {'default_position_deviation': 2.0, 'default_attitude_deviation': 0.1}
    (found,) = merged(merging(only(message), **deviations), detections_at([[1, 2]], 10.0))
    # The heading mixes roll and pitch.
    variances = [found[name] for name in POSE_VARIANCES]
    np.testing.assert_allclose(variances[:3], [4.0, 0.2, 0.3], rtol=1e-5)
    assert sum(variances[3:]) == pytest.approx(0.013, rel=1e-4)


def test_correlations_of_an_invalid_covariance_are_dropped(odometry):
    """Correlations of more than 1."""
    message = copy.deepcopy(odometry.latest())
    covariance = np.diag(VARIANCES)
    covariance[0, 1] = covariance[1, 0] = 5.0
    message.pose.covariance = covariance.ravel()
    (found,) = merged(merging(only(message)), detections_at([[1, 2]], 10.0))
    np.testing.assert_allclose([found[n] for n in POSE_VARIANCES[:3]], VARIANCES[:3], rtol=1e-5)


def spoilt(message, field):
    message = copy.deepcopy(message)
    part, name = field.split('.')
    setattr(getattr(message.pose.pose, part), name, math.nan)
    return message


@pytest.mark.slow
def test_an_invalid_pose_beside_a_valid_one_is_harmless(odometry):
    """The other one is extrapolated by its velocity."""
    early, late = odometry.around(stamp_at(4.325))
    truth = SimulatedFlight().state(4.325).pose
    for pair in (
        (spoilt(early, 'position.x'), late),
        (early, spoilt(late, 'orientation.w')),
    ):
        stage = merging(only(*pair))
        (found,) = merged(stage, detections_at([[1, 2]], 4.325))
        np.testing.assert_allclose(pose_of(found)[:3], truth.position, atol=0.01)
        assert stage.status.values == {'extrapolated': '1'}
        assert stage.status.level == 'ok'


def bad_contexts():
    odometry = flown_odometry()
    first, last = odometry.around(stamp_at(0.0))[0], odometry.latest()
    still, lying = copy.deepcopy(last), copy.deepcopy(last)
    still.twist.twist.linear.x = math.nan
    lying.pose.pose.orientation = Quaternion(w=0.0)
    return {
        'none at all': ('no_odometry', ContextBuffer(), 5.0),
        'too old': ('gap', only(last), 10.6),
        'too new': ('gap', only(last), 9.4),
        'too far apart': ('gap', only(first, last), 5.0),
        'no numbers on both sides': (
            'no_number',
            only(*(spoilt(each, 'position.z') for each in odometry.around(stamp_at(4.325)))),
            4.325,
        ),
        'no attitude': ('no_number', only(lying), 10.0),
        'no velocity to carry it on': ('no_number', only(still), 10.1),
    }


@pytest.mark.slow
@pytest.mark.parametrize('case', bad_contexts())
def test_unmerged_detections_are_counted_by_reason_and_reported(case, caplog):
    """The answer is an empty cloud. Once there is a pose, the status is ok."""
    reason, context, time = bad_contexts()[case]
    stage = merging(context)
    with caplog.at_level(logging.WARNING):
        message = stage.process(detections_at([[1, 2], [3, 4], [5, 6]], time))
    assert (message.width, len(message.fields)) == (0, len(OBSERVATION.names))
    assert stage.status.values == {f'unmerged_{reason}': '3'}
    assert stage.status.level == 'warn'
    assert f'unmerged: 3 detections: {reason}: ' in caplog.text
    stage.context = {'odometry': flown_odometry()}
    assert len(merged(stage, detections_at([[1, 2]], 4.0))) == 1
    assert stage.status.level == 'ok'


def test_an_empty_cloud_does_not_wait_for_odometry():
    stage = configured(DataMerge(), {'max_wait': 1000.0, 'first_wait': 1000.0})
    assert stage.process(detections_at([], 5.0)).width == 0
    assert stage.status.values == {}


class Announced(ContextBuffer):
    """Records how long it is asked to wait, and adds messages that arrive meanwhile."""

    def __init__(self, comes=()):
        super().__init__()
        self.waits = []
        self.comes = list(comes)

    def around(self, stamp, timeout=0.0):
        self.waits.append(timeout)
        if timeout and self.comes:
            self.add(self.comes.pop(0))
        return super().around(stamp)


def test_an_image_waits_for_later_odometry(odometry):
    """Longer before the very first: a new worker is still in discovery."""
    coming = [odometry.nearest(stamp_at(at)) for at in (5.0, 5.05)]
    buffer = Announced(coming)
    stage = merging(buffer, max_wait=0.4, first_wait=3.0)
    assert len(merged(stage, detections_at([[1, 2]], 5.0))) == 1
    assert len(merged(stage, detections_at([[1, 2]], 5.03))) == 1
    assert buffer.waits == [3.0, 0.4]
    assert stage.status.values == {}


@pytest.mark.slow
def test_without_odometry_only_the_first_image_waits(odometry):
    """The others pass at their own rate, until there is odometry again."""
    last = odometry.latest()
    buffer = Announced()
    buffer.add(last)
    stage = merging(buffer, max_wait=0.4)
    for at in (20.0, 20.1, 20.2):
        assert len(merged(stage, detections_at([[1, 2]], at))) == 0
    assert buffer.waits == [0.4, 0.0, 0.0]
    again = copy.deepcopy(last)
    again.header.stamp = stamp_at(20.25)
    buffer.add(again)
    assert len(merged(stage, detections_at([[1, 2]], 20.3))) == 1
    assert buffer.waits[3:] == [0.4]


@pytest.mark.slow
def test_the_wait_is_bounded():
    """By the clock, whatever arrives meanwhile."""
    stage = merging(flown_odometry(0.0, 1.0), max_wait=0.05)
    begin = time.monotonic()
    assert len(merged(stage, detections_at([[1, 2]], 5.0))) == 0
    assert 0.05 <= time.monotonic() - begin < 5.0


@pytest.mark.slow
def test_the_wait_ends_when_odometry_arrives():
    stage = merging(flown_odometry(0.0, 1.0), max_wait=30.0)
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(merged(stage, detections_at([[1, 2]], 1.02))), daemon=True
    )
    thread.start()
    late = flown_odometry(1.05, 1.05).latest()
    stage.context['odometry'].add(late)
    thread.join(10.0)
    assert len(answers) == 1
    assert stage.status.values == {}


@pytest.mark.slow
def test_a_clock_that_is_set_back_is_survived():
    """By an hour; then images are merged with odometry of the new time at once."""
    odometry = flown_odometry()
    stage = merging(odometry)
    assert len(merged(stage, detections_at([[1, 2]], 5.0))) == 1
    for at in (5.0, 5.05, 5.1, 5.15):
        message = flown_odometry(at, at).latest()
        message.header.stamp.sec -= 3600
        odometry.add(message)
    (found,) = merged(stage, detections_at([[1, 2]], 5.12 - 3600))
    truth = SimulatedFlight().state(5.12).pose
    np.testing.assert_allclose(pose_of(found)[:3], truth.position, atol=0.002)
    assert len(merged(stage, detections_at([[1, 2]], 5.0))) == 0
    assert stage.status.values == {'unmerged_gap': '1'}


def test_extra_fields_are_ignored_and_a_missing_one_is_named(odometry):
    """The cloud comes from a foreign node."""
    records = point_cloud.from_message(detections_at([[1, 2]], 5.0))
    names = [name for name in records.dtype.names if name != 'v']
    message = point_cloud.to_message(records[names].astype(records[names].dtype), 'camera')
    with pytest.raises(ValueError, match=r'missing: v$'):
        merging(odometry).process(message)
    nothing = PointCloud2(height=1)
    nothing.header.stamp = stamp_at(5.0)
    assert merging(odometry).process(nothing).width == 0
    more = np.zeros(1, np.dtype([('colour', 'u4'), *records.dtype.descr]))
    message = point_cloud.to_message(more, 'camera')
    message.header.stamp = stamp_at(5.0)
    assert len(merged(merging(odometry), message)) == 1
