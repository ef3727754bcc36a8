# SPDX-License-Identifier: Apache-2.0
"""A reference stands for the data of a message, which can be inserted again without a change."""

from __future__ import annotations

import array
import contextlib

import pytest
from geometry_msgs.msg import PointStamped
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import UInt8MultiArray
from support.random_frames import frame

from worker_pipeline.frames.reference import (
    MAGIC,
    BadReferenceError,
    FrameNumber,
    Reference,
    bytes_after_data,
    decode,
    encode,
    insert_data,
    is_reference,
)


@st.composite
def references(draw) -> Reference:
    stripped = draw(st.binary(min_size=4, max_size=300))
    return Reference(
        draw(st.integers(0, 2**64 - 1)),
        draw(st.integers(0, 2**64 - 1)),
        draw(st.integers(0, len(stripped) - 4)),
        f'{draw(st.integers(1, 2**22))}.{draw(st.integers(1, 2**40))}',
        stripped,
    )


@given(references())
def test_a_decoded_reference_equals_the_encoded_one(reference):
    """Its beginning distinguishes it from a serialised message."""
    payload = bytes(encode(reference))
    assert type(payload) is bytes, 'it has to be decoded'
    assert decode(payload) == reference
    assert is_reference(payload)


NO_BLOCKS = """
7
7.
.1
7.1.1
../7.1
7./1
7.1/../../x
/7.1
-7.1
a.1
7.\u0661
7.1111111111111111111111111111111111111111
"""


@pytest.mark.parametrize('block', NO_BLOCKS.split('\n'))
def test_a_reference_to_what_is_no_block_is_refused(block):
    """The name becomes a path, at which the manager removes files."""
    payload = bytes(encode(Reference(FrameNumber(1), 100_000, 0, block, bytes(8))))
    with pytest.raises(BadReferenceError, match='allowed: a pid, a dot and a number'):
        decode(payload)


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(data):
    """They come from a socket."""
    with contextlib.suppress(BadReferenceError):
        assert decode(MAGIC + data).producer >= 0


def test_a_reference_whose_length_is_outside_its_message_is_refused():
    payload = bytes(encode(Reference(FrameNumber(1), 100_000, 5, '7.1', bytes(8))))
    with pytest.raises(BadReferenceError, match='its length at 5; allowed: within the 8 bytes'):
        decode(payload)


def test_no_serialised_message_is_mistaken_for_a_reference():
    """Serialised messages begin with a zero."""
    assert not is_reference(serialize_message(Image()))
    assert not is_reference(b'')


@pytest.mark.parametrize(
    ('kind', 'after'),
    [(Image, 0), (CompressedImage, 0), (PointCloud2, 1), (PointStamped, None)],
    ids=lambda each: getattr(each, '__name__', each),
)
def test_which_message_types_can_share_their_data(kind, after):
    """Those with a field of bytes, followed by nothing that CDR aligns."""
    assert bytes_after_data(kind) == after


def test_data_may_follow_other_fields():
    """Only the items after it matter."""
    assert bytes_after_data(UInt8MultiArray) == 0


@pytest.mark.parametrize('kind', [Image, CompressedImage, PointCloud2])
@pytest.mark.parametrize('size', [1, 2, 3, 4, 5, 1000])
def test_inserting_the_data_restores_the_message(kind, size):
    """Equal and of the same length; padding bytes may differ."""
    data = frame(1, size)
    full, empty = kind(), kind()
    full.header.frame_id = empty.header.frame_id = 'cam'
    full.data = array.array('B', data)
    stripped = serialize_message(empty)
    length_offset = len(stripped) - 4 - bytes_after_data(kind)
    made = insert_data(Reference(1, size, length_offset, '', stripped), data)
    assert deserialize_message(made, kind) == full
    assert len(made) == len(serialize_message(full))
