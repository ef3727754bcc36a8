# SPDX-License-Identifier: Apache-2.0
"""Compressed images as image_transport and drivers write them."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture
from support.encoded_images import compressed_image, image_of

from worker_pipeline.airside.messages import image


def scene(height=48, width=64):
    """Return smooth pixels (H, W, 3), BGR, which JPEG keeps well."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([4 * columns, 5 * rows, 255 - 2 * (rows + columns)], -1).astype(np.uint8)


def encoded(kind, pixels):
    done, data = cv2.imencode(kind, pixels)
    assert done
    return data.tobytes()


JPEG = encoded('.jpg', scene())
PNG = encoded('.png', scene())


@pytest.mark.parametrize(
    'text',
    [
        *('jpeg', 'jpg', 'JPEG', 'mjpeg', 'image/jpeg', ''),
        *('bgr8; jpeg compressed bgr8', 'rgb8; jpeg compressed bgr8', 'rgb8;jpeg compressed bgr8'),
        *('rgba8; jpeg compressed bgr8', 'yuv422_yuy2; jpeg compressed bgr8', 'bgr8; jpeg'),
    ],
)
def test_a_jpeg_is_read_whatever_its_format_is_called(text):
    found = image.from_message(compressed_image(text, JPEG))
    assert np.abs(found.astype(int) - scene()).max() < 12
    rgb = image.from_message(compressed_image(text, JPEG), 'rgb8')
    np.testing.assert_array_equal(rgb, found[..., ::-1])


@pytest.mark.parametrize('text', ['png', 'rgb8; png compressed bgr8', 'bgr8; png compressed bgr8'])
def test_a_png_is_read_exactly(text):
    np.testing.assert_array_equal(image.from_message(compressed_image(text, PNG)), scene())


def test_grey_pictures_are_read():
    grey = scene()[..., 0]
    for text in ('mono8; png compressed ', 'mono8; png compressed mono8', '8UC1; png compressed '):
        message = compressed_image(text, encoded('.png', grey))
        np.testing.assert_array_equal(image.from_message(message, 'mono8'), grey)
        np.testing.assert_array_equal(image.from_message(message), np.stack([grey] * 3, -1))
    message = compressed_image('mono8; jpeg compressed ', encoded('.jpg', grey))
    assert np.abs(image.from_message(message, 'mono8').astype(int) - grey).max() < 6


@pytest.mark.parametrize('text', ['mono16; png compressed ', '16UC1; png compressed ', 'png'])
def test_words_in_a_png_are_kept(text):
    values = scene()[..., 0].astype(np.uint16) << 4  # twelve bits
    message = compressed_image(text, encoded('.png', values))
    np.testing.assert_array_equal(image.from_message(message, 'mono16'), values)
    np.testing.assert_array_equal(image.from_message(message, 'passthrough'), values)
    np.testing.assert_array_equal(image.from_message(message, 'mono8'), scene()[..., 0])


def test_colours_of_sixteen_bits_and_alpha_in_a_png():
    words = scene().astype(np.uint16) * 257
    message = compressed_image('rgb16; png compressed bgr16', encoded('.png', words))
    np.testing.assert_array_equal(image.from_message(message), scene())
    np.testing.assert_array_equal(image.from_message(message, 'bgr16'), words)
    alpha = np.dstack([scene(), np.full((48, 64), 99, np.uint8)])
    message = compressed_image('png', encoded('.png', alpha))
    np.testing.assert_array_equal(image.from_message(message), scene())
    np.testing.assert_array_equal(image.from_message(message, 'bgra8'), alpha)


@pytest.mark.parametrize('bits', [8, 16])
def test_a_mosaic_is_compressed_as_it_is(bits):
    """image_transport takes bayer_... for grey."""
    rgb = np.full((16, 16, 3), [200, 90, 30], np.uint8)
    mosaic = image.from_message(image_of(f'bayer_gbrg{bits}', rgb), 'passthrough')
    message = compressed_image(f'bayer_gbrg{bits}; png compressed ', encoded('.png', mosaic))
    np.testing.assert_array_equal(image.from_message(message, 'rgb8')[4:12, 4:12], rgb[4:12, 4:12])


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_note_of_the_orientation_turns_nothing(orientation):
    """The camera is calibrated for the pixels as they are."""
    exif = Picture.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    Picture.fromarray(scene()[..., ::-1]).save(data, 'JPEG', exif=exif, quality=95)
    found = image.from_message(compressed_image('jpeg', data.getvalue()))
    assert found.shape == scene().shape
    assert np.abs(found.astype(int) - scene()).max() < 12


REFUSED = {
    '16UC1; compressedDepth png': bytes(12) + encoded('.png', scene()[..., 0].astype(np.uint16)),
    '32FC1; compressedDepth': bytes(12) + PNG,
    '16UC1; compressedDepth rvl': bytes(40),
    '16UC1; png compressed ': bytes(12) + PNG,
    'h264': b'\0\0\0\1\x67' + bytes(50),
    'hevc': b'\0\0\0\1\x40' + bytes(50),
    'rgb8; ffmpeg': bytes(50),
    'mono16; jpeg compressed ': encoded('.jpg', scene()[..., 0]),
    'jpeg': bytes(50),
    'png': b'\x89PNG',
    'rgb8; jpeg compressed bgr8': b'',
}
REASONS = {
    '16UC1; compressedDepth png': 'a depth image',
    '32FC1; compressedDepth': 'a depth image',
    '16UC1; compressedDepth rvl': 'a depth image',
    '16UC1; png compressed ': 'a depth image',
    'h264': 'a video',
    'hevc': 'a video',
    'rgb8; ffmpeg': 'a video',
    'mono16; jpeg compressed ': 'all values above 255 are 255',
    'jpeg': r'50 bytes that begin with 00 00 00 00',
    'png': r'4 bytes that begin with 89 50 4e 47',
    'rgb8; jpeg compressed bgr8': 'found 0 bytes',
}


@pytest.mark.parametrize('text', REFUSED)
def test_what_is_no_picture_is_refused_with_the_reason(text):
    with pytest.raises(image.UnreadableImageError, match=REASONS[text]):
        image.from_message(compressed_image(text, REFUSED[text]))


@pytest.mark.parametrize(('text', 'data'), [('jpeg', JPEG), ('png', PNG)])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 1.0])
def test_a_picture_that_is_cut_is_refused(text, data, share):
    """libjpeg would fill it up with grey."""
    cut = data[: min(int(share * len(data)), len(data) - (2 if text == 'jpeg' else 12))]
    with pytest.raises(image.UnreadableImageError, match='data: found'):
        image.from_message(compressed_image(text, cut))


def test_bytes_after_the_picture_are_ignored():
    """Drivers send whole buffers."""
    found = image.from_message(compressed_image('jpeg', JPEG + bytes(500)))
    assert found.shape == scene().shape


@given(
    st.binary(max_size=200), st.sampled_from(['jpeg', 'png', 'tiff', 'rgb8; png compressed ', ';'])
)
def test_any_bytes_are_read_or_refused(data, text):
    for head in (b'', JPEG[:40], PNG[:40], b'II*\0', b'RIFF\0\0\0\0WEBP', b'BM'):
        try:
            image.from_message(compressed_image(text, head + data))
        except image.UnreadableImageError:
            continue


def test_a_mosaic_that_is_too_small_is_refused():
    png = encoded('.png', np.full((2, 2), 200, np.uint8))
    with pytest.raises(image.UnreadableImageError, match='found 2x2 pixels of bayer_rggb8'):
        image.from_message(compressed_image('bayer_rggb8; png compressed bayer_rggb8', png))


def test_a_picture_of_more_pixels_than_allowed_is_refused():
    """In a process of its own, as OpenCV reads its limit when it is loaded."""
    program = (
        'import sys; from sensor_msgs.msg import CompressedImage;'
        'from worker_pipeline.airside.messages import image;'
        'image.from_message(CompressedImage(format="png", data=sys.stdin.buffer.read()))'
    )
    ended = subprocess.run(
        [sys.executable, '-c', program],
        input=encoded('.png', np.zeros((80, 60), np.uint8)),
        env=os.environ | {'OPENCV_IO_MAX_IMAGE_PIXELS': '4000'},
        capture_output=True,
        check=False,
    )
    assert b'UnreadableImageError: data: found more than 4000 pixels' in ended.stderr


def test_a_limit_of_pixels_is_set_where_there_is_none():
    """A few bytes can be a picture of gigabytes."""
    program = (
        'import os; import worker_pipeline.airside.common.opencv;'
        'print(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])'
    )
    environment = {
        key: value for key, value in os.environ.items() if key != 'OPENCV_IO_MAX_IMAGE_PIXELS'
    }
    found = subprocess.check_output([sys.executable, '-c', program], env=environment, text=True)
    assert int(found) == 2**28
