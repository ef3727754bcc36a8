# SPDX-License-Identifier: Apache-2.0
"""Messages that differ only in their stamp are deserialised by copying the previous one."""

from __future__ import annotations

import array
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from worker_pipeline.frames import template as message_template
from worker_pipeline.frames.template import MessageTemplate, copy_of


def stamped(message, sec, nanosec):
    message.header.stamp.sec, message.header.stamp.nanosec = sec, nanosec
    return message


def image(frame_id='camera'):
    made = Image(height=2, width=3, encoding='bgr8', step=9)
    made.header.frame_id = frame_id
    return made


def cloud():
    made = PointCloud2(height=1, width=2, fields=[PointField(name='x'), PointField(name='y')])
    made.header.frame_id = 'lidar'
    return made


def camera_info():
    """Return a message with number lists of fixed and of variable size."""
    return CameraInfo(k=np.arange(9.0), d=[0.5, 0.25])


def compressed(sec, order):
    """Return a serialised CompressedImage in a byte order."""
    fields = struct.pack(f'{order}iII4sI4sI', sec, 5, 4, b'cam\0', 4, b'png\0', 0)
    return bytes([0, order == '<', 0, 0]) + fields


class Watched(MessageTemplate):
    """A template that counts the messages copied from it."""

    made = 0

    def deserialize(self, data):
        before = self._message
        found = super().deserialize(data)
        self.made += before is self._message
        return found


SECONDS = st.integers(0, 2**31 - 1)
NANOSECONDS = st.integers(0, 999_999_999)


SHOTS = st.tuples(st.sampled_from('ab'), SECONDS, NANOSECONDS, st.booleans())


@given(st.lists(SHOTS, min_size=1, max_size=8))
def test_every_message_equals_the_one_rclpy_deserialises(shots):
    """Prepared or not, for an equal message or another."""
    template = MessageTemplate(Image)
    for frame_id, sec, nanosec, is_prepared in shots:
        if is_prepared:
            template.prepare()
        data = bytes(serialize_message(stamped(image(frame_id), sec, nanosec)))
        assert template.deserialize(data) == deserialize_message(data, Image)


@pytest.mark.parametrize('make', [image, cloud, camera_info, CompressedImage, Odometry])
def test_only_the_first_of_equal_messages_is_deserialised(make):
    """Equal but for the stamp byte by byte: Fast CDR 2.3.3 leaves padding as the heap had it."""
    template = Watched(type(make()))
    data = bytearray(serialize_message(make()))
    for sec in (1, 2, 3):
        data[4:12] = struct.pack('<iI', sec, 5)
        assert template.deserialize(bytes(data)) == deserialize_message(bytes(data), type(make()))
    assert template.made == 2


def test_both_byte_orders_are_read():
    """Another machine may use the other one, as the encapsulation says."""
    template = MessageTemplate(CompressedImage)
    for sec, order in enumerate('<>><', start=1):
        data = compressed(sec, order)
        found = template.deserialize(data)
        assert (found.header.stamp.sec, found.header.stamp.nanosec) == (sec, 5)
        assert found == deserialize_message(data, CompressedImage)


@pytest.mark.parametrize('is_prepared', [True, False])
@pytest.mark.parametrize('make', [image, cloud, camera_info])
def test_messages_share_no_mutable_parts(make, is_prepared):
    template = MessageTemplate(type(make()))
    data = bytes(serialize_message(stamped(make(), 1, 2)))
    for _ in range(2):
        first = template.deserialize(data)
        if is_prepared:
            template.prepare()
    first.header.frame_id = 'other'
    first.header.stamp.sec = 7
    if make is cloud:
        first.fields[0].name = 'other'
        first.fields.pop()
        first.data.append(1)
    if make is camera_info:
        first.k[0] = 7.0
        first.d[0] = 7.0
    assert template.deserialize(data) == deserialize_message(data, type(first))


def test_a_prepared_message_is_not_copied_on_arrival(monkeypatch):
    """Only the stamp is missing."""
    template = MessageTemplate(Image)
    data = [bytes(serialize_message(stamped(image(), sec, 2))) for sec in (1, 2)]
    template.deserialize(data[0])
    template.prepare()
    monkeypatch.setattr(message_template, 'copy_of', lambda value: pytest.fail(f'copied {value}'))
    assert template.deserialize(data[1]).header.stamp.sec == 2


def test_a_copy_equals_its_original():
    values = [array.array('d', [1.0]), np.ones(3), ['a'], b'b', 'c', 1, 2.0, True]
    for value in values:
        made = copy_of(value)
        assert type(made) is type(value)
        assert np.array_equal(made, value)
