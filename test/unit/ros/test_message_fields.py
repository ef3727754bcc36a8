# SPDX-License-Identifier: Apache-2.0
"""Numbers are sent as they are meant, or refused with the field's name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, Imu, NavSatFix, PointCloud2, PointField
from std_msgs.msg import Header

from worker_pipeline.ros.message_fields import check_fields


def sent(message):
    """Return a message as it is received."""
    check_fields(message)
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize(
    'value', [47, 47.0, True, np.float32(4.5), np.float64(4.5), np.int16(-3), math.inf]
)
def test_any_number_may_be_in_a_float_field(value):
    assert sent(NavSatFix(latitude=value)).latitude == float(value)


def test_not_a_number_stays_what_it_is():
    assert math.isnan(sent(NavSatFix(altitude=np.float32('nan'))).altitude)


@pytest.mark.parametrize('value', [1, True, np.bool_(True), np.uint8(1)])
def test_one_is_true_in_a_bool_field(value):
    assert sent(PointCloud2(is_dense=value)).is_dense is True


@pytest.mark.parametrize('value', [7, np.int64(7), np.uint8(7)])
def test_numpy_integers_may_be_in_an_integer_field(value):
    assert sent(Image(height=value)).height == 7


@pytest.mark.parametrize(
    ('message', 'error', 'text'),
    [
        (Image(height=2**32), OverflowError, 'height: found 4294967296; allowed: 0 to 4294967295'),
        (Image(width=-1), OverflowError, 'width: found -1; allowed: 0 to'),
        (Image(is_bigendian=256), OverflowError, 'is_bigendian: found 256; allowed: 0 to 255'),
        (Image(height=2.5), TypeError, 'height: found float; allowed: an integer'),
        (NavSatFix(latitude='47'), TypeError, 'latitude: found str; allowed: a number'),
        (NavSatFix(latitude=None), TypeError, 'latitude: found NoneType'),
        (NavSatFix(latitude=np.ones(1)), TypeError, 'latitude: found ndarray'),
        (PointCloud2(is_dense=2), TypeError, 'is_dense: found int; allowed: True or False'),
        (Image(encoding=8), TypeError, 'encoding: found int; allowed: a text'),
        (Image(header=None), TypeError, 'header: found NoneType; allowed: a message'),
        (
            PointCloud2(fields=[PointField(), PointField(count=-1)]),
            OverflowError,
            r'fields\[1\].count: found -1',
        ),
    ],
)
def test_what_is_no_such_number_is_refused_with_its_field(message, error, text):
    with pytest.raises(error, match=text):
        check_fields(message)


def test_numbers_within_messages_and_sequences_are_converted_too():
    pose = PoseStamped()
    pose.pose.position.x = 3
    path = Path(poses=[PoseStamped(), pose])
    assert sent(path).poses[1].pose.position.x == 3.0
    assert sent(Imu(orientation_covariance=[1] * 9)).orientation_covariance.tolist() == [1.0] * 9


def test_texts_and_bytes_are_left_alone():
    status = DiagnosticStatus(level=DiagnosticStatus.ERROR, name='camera')
    assert sent(DiagnosticArray(status=[status])).status == [status]
    assert sent(Header(frame_id='camera')).frame_id == 'camera'
