# SPDX-License-Identifier: Apache-2.0
"""Values of more than 8 bits become grey levels that can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.encoded_images import image_of

from worker_pipeline.airside.messages import image
from worker_pipeline.airside.messages.grey_levels import ValueRange, to_levels, value_range


def ramp(low, high, dtype=np.uint16, shape=(200, 300)):
    """Return an image (H, W) of values spread evenly."""
    return np.linspace(low, high, shape[0] * shape[1]).reshape(shape).astype(dtype)


def levels(values, limits=None, encoding=None, wanted='mono8'):
    encoding = encoding or {'u2': '16UC1', 'f4': '32FC1', 'i2': '16SC1'}[values.dtype.str[1:]]
    return image.from_message(image.to_message(values, '', encoding), wanted, limits)


@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
def test_a_sensor_of_any_depth_in_words_fills_the_levels(bits):
    """Twelve bits ended at level 15."""
    found = levels(ramp(0, 2**bits - 1))
    assert (found.min(), found.max()) == (0, 255)
    np.testing.assert_array_equal(found, ramp(0, 2**bits - 1) >> (bits - 8))


@pytest.mark.parametrize('shift', [2, 4, 6, 8])
def test_levels_in_the_upper_bits_come_back_exactly(shift):
    grey = ramp(0, 255, np.uint8)
    np.testing.assert_array_equal(levels(grey.astype(np.uint16) << shift), grey)
    np.testing.assert_array_equal(levels(grey.astype(np.uint16) * 257), grey)
    np.testing.assert_array_equal(levels(grey.astype(np.float32)), grey)
    np.testing.assert_array_equal(levels(grey.astype(np.float32) / 255), grey)


@pytest.mark.parametrize(
    ('low', 'high', 'dtype'),
    [
        (7000, 9000, np.uint16),  # a microbolometer's 14 bits
        (27315, 31315, np.uint16),  # hundredths of a kelvin
        (280.0, 320.0, np.float32),  # kelvin
        (-15.0, 45.0, np.float32),  # degrees Celsius
        (0.4, 0.5, np.float32),
        (-300, 300, np.int16),
        (5.0, 60.0, np.float32),  # m
    ],
)
def test_a_narrow_range_is_spread_over_all_levels(low, high, dtype):
    found = levels(ramp(low, high, dtype))
    assert (found.min(), found.max()) == (0, 255)
    assert (np.diff(found.ravel().astype(int)) >= 0).all()


def test_noise_is_not_made_a_picture():
    """One count is one level at most."""
    values = 8000 + np.random.default_rng(1).integers(0, 20, (200, 300)).astype(np.uint16)
    assert levels(values).max() <= 20
    assert levels(np.full((9, 9), 3000, np.uint16)).max() == 0
    assert levels(np.full((9, 9), 3.5, np.float32)).max() == 0


def test_single_defects_do_not_darken_the_picture():
    values = ramp(0, 4095)
    expected = levels(values)
    values[3, 5], values[50, 60] = 65535, 65535
    found = levels(values)
    assert found[3, 5] == found[50, 60] == 255
    assert (found != expected).sum() <= 2


def test_a_spot_of_few_pixels_is_bright():
    """An emitter of a few pixels in a dark scene."""
    values = ramp(30, 60)
    values[100:103, 100:103] = 3000
    assert levels(values)[101, 101] > 150
    assert np.median(levels(values)) < 60


def test_what_is_no_number_is_black_and_infinity_white():
    values = ramp(280, 320, np.float32)
    expected = levels(values)
    values[0, :3] = np.nan, np.inf, -np.inf
    found = levels(values)
    assert found[0, :3].tolist() == [0, 255, 0]
    assert np.abs(found[1:].astype(int) - expected[1:]).max() <= 1


def test_an_image_without_a_number_is_refused():
    for values in (np.full((8, 8), np.nan, np.float32), np.full((8, 8), np.inf, np.float32)):
        with pytest.raises(image.UnreadableImageError, match='found no value that is a number'):
            levels(values)


def test_a_given_range_is_kept():
    found = levels(ramp(0, 65535), [10_000, 20_000])
    values = ramp(0, 65535).astype(float)
    expected = np.clip((values - 10_000) / 10_000 * 255, 0, 255)
    assert np.abs(found - expected).max() <= 0.51
    np.testing.assert_array_equal(levels(ramp(0, 4095), [0, 0]), levels(ramp(0, 4095)))


def test_one_range_holds_for_all_channels():
    values = np.stack([ramp(0, 4095), ramp(0, 1000), ramp(0, 10)], -1)
    found = image.from_message(image.to_message(values, '', 'bgr16'))
    np.testing.assert_array_equal(found, values >> 4)


def test_words_from_floats_fill_the_words():
    found = levels(ramp(280, 320, np.float32), wanted='mono16')
    assert (found.dtype, found.min(), found.max()) == (np.uint16, 0, 65535)


@given(
    low=st.floats(-1e6, 1e6),
    span=st.floats(0, 1e6),
    dtype=st.sampled_from([np.uint16, np.int16, np.int32, np.float32, np.float64]),
    top=st.sampled_from([np.uint8, np.uint16]),
)
def test_levels_rise_with_the_values(low, span, dtype, top):
    whole = np.iinfo(dtype) if np.dtype(dtype).kind in 'iu' else np.finfo(dtype)
    values = np.clip(np.linspace(low, low + span, 300), whole.min, whole.max).astype(dtype)
    values = values.reshape(15, 20)
    found = to_levels(values, top, value_range(values)).astype(int)
    assert found.shape == values.shape
    assert (np.diff(found.ravel()) >= 0).all()


def test_the_range_of_words_and_of_floats_is_found_alike():
    values = ramp(300, 900)
    assert (
        value_range(values) == value_range(values.astype(np.float32)) == ValueRange(0, 1023, True)
    )


def test_a_mosaic_of_twelve_bits_fills_the_levels():
    message = image_of('bayer_rggb16', np.full((16, 16, 3), [250, 120, 30], np.uint8))
    words = np.frombuffer(message.data, np.uint16) >> 4
    message.data = words.tobytes()
    assert image.from_message(message, 'rgb8')[8, 8].tolist() == [250, 120, 30]


def test_all_colours_of_a_large_mosaic_count():
    """Of a large image only a part is looked at."""
    message = image_of('bayer_rggb16', np.full((800, 1200, 3), [3, 5, 250], np.uint8))
    words = np.frombuffer(message.data, np.uint16) >> 4
    message.data = words.tobytes()
    assert image.from_message(message, 'rgb8')[8, 8].tolist() == [3, 5, 250]
