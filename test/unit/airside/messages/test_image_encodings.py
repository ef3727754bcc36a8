# SPDX-License-Identifier: Apache-2.0
"""Every encoding against pixels laid out by hand, and against OpenCV's own conversion."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from support.encoded_images import (
    ALL,
    COLOURS,
    GREYS,
    MOSAICS,
    YUV_420,
    YUV_422,
    grey_of,
    image_of,
    yuv_of,
)

from worker_pipeline.airside.messages import image
from worker_pipeline.airside.messages.encodings import ENCODINGS

# Exact to rounding; YUV: to the levels that its own rounding costs.
TOLERANCES = dict.fromkeys((*YUV_422, *YUV_420, 'nv24'), 3)


def blocks(height=24, width=32, size=8):
    """Return pixels (H, W, 3), RGB, of one colour in each block: what is shared is equal."""
    colours = np.random.default_rng(3).integers(0, 256, (height // size, width // size, 3))
    return np.kron(colours, np.ones((size, size, 1))).astype(np.uint8)


def inside(pixels, size=8):
    """Return the pixels that are not at the edge of a block, where a mosaic is a guess."""
    within = np.arange(size)[2:-2]
    rows = np.add.outer(np.arange(0, pixels.shape[0], size), within).ravel()
    columns = np.add.outer(np.arange(0, pixels.shape[1], size), within).ravel()
    return pixels[np.ix_(rows, columns)].astype(int)


def test_the_table_has_every_encoding_that_is_tested_and_no_other():
    generic = {each for each in ALL if re.fullmatch(r'\d+[USF]C\d*', each)}
    assert set(ENCODINGS) == set(ALL) - generic


@pytest.mark.parametrize('padding', [0, 8])
@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('name', COLOURS)
def test_colours_are_right_however_they_are_encoded(name, big_endian, padding):
    rgb = blocks()
    message = image_of(name, rgb, padding=padding, big_endian=big_endian)
    tolerance = TOLERANCES.get(name, 0)
    for wanted, order in (('rgb8', [0, 1, 2]), ('bgr8', [2, 1, 0])):
        found = image.from_message(message, wanted)
        assert (found.shape, found.dtype) == (rgb.shape, np.uint8)
        assert np.abs(inside(found) - inside(rgb[..., order])).max() <= tolerance
    found = image.from_message(message, 'bgra8')
    assert found.shape == (24, 32, 4)
    assert np.abs(inside(found[..., :3]) - inside(rgb[..., ::-1])).max() <= tolerance
    words = image.from_message(message, 'bgr16')
    assert words.dtype == np.uint16
    assert np.abs(inside(words) - 257 * inside(rgb[..., ::-1])).max() <= 257 * tolerance


@pytest.mark.parametrize('name', COLOURS)
def test_the_brightness_of_colours_is_right(name):
    rgb = blocks()
    found = image.from_message(image_of(name, rgb), 'mono8')
    assert found.shape == (24, 32)
    expected = yuv_of(rgb)[..., 0] if name in TOLERANCES else grey_of(rgb)
    assert np.abs(inside(found) - inside(expected)).max() <= 1


@pytest.mark.parametrize('padding', [0, 8])
@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('name', GREYS)
def test_greys_are_right_however_they_are_encoded(name, big_endian, padding):
    rgb = blocks()
    rgb[:8, :8], rgb[8:16, :8] = 0, 255
    message = image_of(name, rgb, padding=padding, big_endian=big_endian)
    found = image.from_message(message, 'mono8')
    assert np.abs(found.astype(int) - grey_of(rgb)).max() <= (1 if 'S' in name else 0)
    colour = image.from_message(message)
    assert (colour == found[..., np.newaxis]).all()


@pytest.mark.parametrize('name', ALL)
def test_an_image_of_each_encoding_survives_its_way(name):
    message = image_of(name, blocks(), padding=8)
    sent = deserialize_message(serialize_message(message), Image)
    np.testing.assert_array_equal(image.from_message(sent), image.from_message(message))


# OpenCV's own code for each, given the bytes as an array in one piece.
BARE = {
    **{f'rgb{bits}': cv2.COLOR_RGB2BGR for bits in (8, 16)},
    'bgra8': cv2.COLOR_BGRA2BGR,
    'rgba8': cv2.COLOR_RGBA2BGR,
    'mono8': cv2.COLOR_GRAY2BGR,
    'uyvy': cv2.COLOR_YUV2BGR_UYVY,
    'yuv422': cv2.COLOR_YUV2BGR_UYVY,
    'yuyv': cv2.COLOR_YUV2BGR_YUY2,
    'yuv422_yuy2': cv2.COLOR_YUV2BGR_YUY2,
    'yvyu': cv2.COLOR_YUV2BGR_YVYU,
    'nv12': cv2.COLOR_YUV2BGR_NV12,
    'nv21': cv2.COLOR_YUV2BGR_NV21,
    'i420': cv2.COLOR_YUV2BGR_I420,
    'yv12': cv2.COLOR_YUV2BGR_YV12,
    **{
        f'bayer_{order}{bits}': getattr(cv2, f'COLOR_Bayer{order.upper()}2BGR')
        for order in MOSAICS
        for bits in (8, 16)
    },
}


@pytest.mark.parametrize('name', BARE)
def test_noise_is_converted_as_by_opencv(name):
    rgb = np.random.default_rng(5).integers(0, 256, (24, 32, 3), np.uint8)
    message = image_of(name, rgb, padding=8)
    bare = cv2.cvtColor(image.from_message(message, 'passthrough'), BARE[name])
    if name.endswith('16'):
        np.testing.assert_array_equal(image.from_message(message, 'bgr16'), bare)
        bare = (bare >> 8).astype(np.uint8)
    assert np.abs(image.from_message(message).astype(int) - bare).max() <= name.endswith('16')


@pytest.mark.parametrize(
    ('name', 'wanted'),
    [
        *(('bgr8', each) for each in ('bgr8', 'passthrough', '8UC3')),
        *(('rgb8', 'rgb8'), ('8UC3', 'bgr8'), ('mono16', '16UC1'), ('16UC1', 'mono16')),
        *(('8UC1', 'mono8'), ('32FC1', '32FC1'), ('bgrx8', 'passthrough')),
        *(('bayer_rggb16', 'passthrough'), ('uyvy', 'passthrough')),
        *(('nv12', 'mono8'), ('i420', 'mono8'), ('nv24', 'mono8')),
    ],
)
@pytest.mark.parametrize('padding', [0, 8])
def test_what_needs_no_conversion_is_a_view(name, wanted, padding):
    message = image_of(name, blocks(), padding=padding)
    found = image.from_message(message, wanted)
    assert np.shares_memory(found, np.frombuffer(message.data, np.uint8))


@given(
    name=st.sampled_from(ALL),
    height=st.integers(2, 9).map(lambda half: 2 * half),
    width=st.integers(2, 9).map(lambda half: 2 * half),
    padding=st.integers(0, 9).map(lambda half: 2 * half),
    big_endian=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_neither_padding_nor_byte_order_changes_a_picture(
    name, height, width, padding, big_endian, seed
):
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    plain = image_of(name, rgb)
    other = image_of(name, rgb, padding=padding, big_endian=big_endian)
    for wanted in ('bgr8', 'mono8', 'passthrough'):
        expected = image.from_message(plain, wanted)
        np.testing.assert_array_equal(image.from_message(other, wanted), expected)


@given(name=st.sampled_from(ALL), missing=st.integers(1, 40))
def test_an_image_that_lacks_bytes_is_refused(name, missing):
    message = image_of(name, blocks())
    message.data = message.data[:-missing]
    with pytest.raises(image.UnreadableImageError, match=r'found \d+ bytes for 32x24 pixels of'):
        image.from_message(message)


@given(
    name=st.sampled_from([*ALL, '8UC2', '16UC7', '64UC1', '16FC1', '8FC1', '8UC0', '8UC999', 'no']),
    height=st.integers(0, 5),
    width=st.integers(0, 5),
    step=st.integers(0, 70),
    size=st.integers(0, 400),
    big_endian=st.integers(0, 1),
    wanted=st.sampled_from(['bgr8', 'mono8', 'mono16', 'rgba16', 'passthrough']),
)
def test_any_image_is_read_or_refused(name, height, width, step, size, big_endian, wanted):
    message = Image(height=height, width=width, encoding=name, step=step, is_bigendian=big_endian)
    message.data = bytes(range(256)) * 2
    message.data = message.data[:size]
    try:
        found = image.from_message(message, wanted)
    except image.UnreadableImageError:
        return
    assert found.shape[1] == width
    assert wanted == 'passthrough' or found.shape[0] == height


@pytest.mark.parametrize(
    ('name', 'size', 'allowed'),
    [
        *((each, (4, 5), 'an even width') for each in YUV_422),
        *((each, (5, 4), 'an even width and height') for each in YUV_420),
        *((each, (4, 5), 'an even width and height') for each in YUV_420),
        ('bayer_rggb8', (2, 8), 'at least 3 pixels each way'),
    ],
)
def test_a_size_that_the_encoding_does_not_have_is_refused(name, size, allowed):
    height, width = size
    message = image_of(name, np.zeros((8, 8, 3), np.uint8))
    message.height, message.width = height, width
    text = f'size: found {width}x{height} pixels of {name}; allowed: {allowed}'
    with pytest.raises(image.UnreadableImageError, match=text):
        image.from_message(message)


@pytest.mark.parametrize('name', ['uyvy', 'nv12', 'bayer_grbg8', 'rgb8', 'nv24'])
def test_an_odd_height_suits_what_does_not_share_rows(name):
    message = image_of(name if name != 'nv12' else 'yuyv', blocks()[:23])
    assert image.from_message(message).shape == (23, 32, 3)


@pytest.mark.parametrize('name', [*YUV_420, 'nv24'])
@pytest.mark.parametrize('share', [1.5, 2, 3])
def test_a_step_that_is_not_a_planes_does_not_matter(name, share):
    """As drivers give that divide the bytes by the height, or count channels."""
    message = image_of(name, blocks())
    expected = image.from_message(message)
    message.step = int(share * 32)
    np.testing.assert_array_equal(image.from_message(message), expected)


def test_a_wrong_encoding_is_replaced_by_the_right_one():
    """v4l2_camera labels planes of YUV 4:2:0 as nv21."""
    message = image_of('i420', blocks())
    expected = image.from_message(message)
    message.encoding = 'nv21'
    assert (image.from_message(message) != expected).any()
    np.testing.assert_array_equal(image.from_message(message, source='i420'), expected)


def test_names_are_read_in_any_case():
    message = image_of('rgb8', blocks())
    expected = image.from_message(message)
    message.encoding = 'RGB8'
    np.testing.assert_array_equal(image.from_message(message), expected)


def test_two_channels_without_a_meaning_are_refused_but_passed_through():
    message = image_of('uyvy', blocks())
    message.encoding = '8UC2'
    assert image.from_message(message, 'passthrough').shape == (24, 32, 2)
    with pytest.raises(image.UnreadableImageError, match='found 8UC2, whose 2 channels are no'):
        image.from_message(message)


@pytest.mark.parametrize('wanted', ['uyvy', 'bayer_rggb8', 'nv12', 'argb8', 'nothing'])
def test_what_cannot_be_converted_to_is_named(wanted):
    with pytest.raises(ValueError, match=f"found '{wanted}'; allowed: "):
        image.from_message(image_of('rgb8', blocks()), wanted)


@pytest.mark.parametrize(
    ('name', 'shape', 'dtype'),
    [
        *(('mono8', (4, 6), np.uint8), ('16UC1', (4, 6), np.uint16), ('uyvy', (4, 6, 2), np.uint8)),
        *(('rgba16', (4, 6, 4), np.uint16), ('32FC1', (4, 6), np.float32)),
        ('bayer_gbrg8', (4, 6), np.uint8),
    ],
)
def test_pixels_of_any_encoding_become_a_message(name, shape, dtype):
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    message = image.to_message(pixels, 'camera', name)
    assert (message.encoding, message.step) == (name, pixels.nbytes // 4)
    np.testing.assert_array_equal(image.from_message(message, 'passthrough'), pixels)
    with pytest.raises(ValueError, match='allowed: '):
        image.to_message(np.zeros((4, 6, 5), np.uint8), '', name)


def test_pixels_in_planes_become_no_message():
    with pytest.raises(ValueError, match='allowed: '):
        image.to_message(np.zeros((6, 6), np.uint8), '', 'nv12')


@pytest.mark.parametrize('name', ALL)
def test_pixels_are_said_to_have_colours_or_not(name):
    """Also those of an encoding for colours may be grey, as of a thermal camera."""
    rgb = np.kron(blocks(), np.ones((8, 8, 1), np.uint8))
    assert image.has_colour(image.from_message(image_of(name, rgb))) is (name in COLOURS)
    grey = np.stack([grey_of(rgb)] * 3, -1)
    if not name.startswith('bayer_'):  # whose edges get colours
        assert not image.has_colour(image.from_message(image_of(name, grey)))


def test_a_type_with_thousands_of_digits_is_an_unknown_encoding():
    message = image_of('bgr8', blocks())
    message.encoding = '8UC' + '1' * 5000
    with pytest.raises(image.UnreadableImageError, match="found '8UC1111"):
        image.from_message(message)
