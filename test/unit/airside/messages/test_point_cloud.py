# SPDX-License-Identifier: Apache-2.0
"""Conversion of point clouds to records and back."""

from __future__ import annotations

import array

import numpy as np
import pytest

from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.records import (
    DETECTION,
    LOCATION,
    OBSERVATION,
    OPTIONAL,
    TARGET,
)


@pytest.mark.parametrize('dtype', [DETECTION, OBSERVATION, LOCATION, TARGET])
def test_records_are_unchanged_after_conversion_and_back(dtype):
    records = np.zeros(3, dtype)
    for place, name in enumerate(dtype.names):
        records[name] = [place, place + 1, place + 2]
    message = point_cloud.to_message(records, 'map')
    assert (message.width, message.height, message.header.frame_id) == (3, 1, 'map')
    np.testing.assert_array_equal(point_cloud.from_message(message), records)


def test_the_fields_are_as_documented():
    def names(dtype):
        return [field.name for field in point_cloud.to_message(np.zeros(0, dtype), '').fields]

    assert {'x1', 'y1', 'x2', 'y2', 'label', 'confidence'} <= set(names(DETECTION))
    assert {'x', 'y', 'z', 'label', 'confidence', 'latitude', 'longitude'} <= set(names(LOCATION))
    assert {'x', 'y', 'z', 'label', 'confidence', 'variance'} <= set(names(TARGET))


def test_an_empty_cloud_still_has_its_fields():
    message = point_cloud.to_message(np.zeros(0, DETECTION), '')
    assert message.width == 0
    assert len(message.fields) == len(DETECTION.names)
    assert point_cloud.from_message(message).dtype.names == DETECTION.names


def test_the_other_byte_order_is_read():
    message = point_cloud.to_message(np.ones(1, np.dtype([('x', 'f4')])), '')
    message.data = array.array('B', np.array([2.5], '>f4').tobytes())
    message.is_bigendian = True
    assert point_cloud.from_message(message)['x'][0] == 2.5


def test_a_cloud_with_missing_bytes_is_rejected():
    message = point_cloud.to_message(np.zeros(2, LOCATION), '')
    message.data = message.data[:-1]
    with pytest.raises(ValueError, match='allowed: 2 points'):
        point_cloud.from_message(message)


def test_a_field_of_unknown_type_is_rejected():
    message = point_cloud.to_message(np.zeros(1, LOCATION), '')
    message.fields[2].datatype = 77
    with pytest.raises(ValueError, match=r'z \(77\)'):
        point_cloud.from_message(message)
    with pytest.raises(ValueError, match='name: found'):
        point_cloud.to_message(np.zeros(1, np.dtype([('name', 'U4')])), '')


def test_a_cloud_says_whether_its_image_was_searched():
    unsearched = point_cloud.not_searched(LOCATION, 'map')
    assert not point_cloud.is_searched(unsearched)
    assert len(point_cloud.from_message(unsearched)) == 0
    assert (unsearched.header.frame_id, len(unsearched.fields)) == ('map', len(LOCATION))
    assert point_cloud.is_searched(point_cloud.to_message(np.zeros(0, LOCATION), ''))
    foreign = point_cloud.to_message(np.zeros(1, LOCATION), '')
    foreign.is_dense = False  # it has invalid points
    assert point_cloud.is_searched(foreign)


def test_a_cloud_without_the_fields_of_oriented_boxes_is_of_upright_ones():
    """Such as a recording of an earlier version."""
    earlier = np.ones(2, [(name, kind) for name, kind in DETECTION.descr if name not in OPTIONAL])
    read = point_cloud.as_type(earlier, DETECTION)
    assert (read['u'] == 1).all()
    assert all((read[name] == 0).all() for name in OPTIONAL)
    with pytest.raises(ValueError, match='missing: u'):
        point_cloud.as_type(
            earlier[['x1', 'y1', 'x2', 'y2', 'v', 'label', 'confidence']], DETECTION
        )
