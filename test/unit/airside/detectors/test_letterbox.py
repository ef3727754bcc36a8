# SPDX-License-Identifier: Apache-2.0
"""An image in a model's input, and the conversion of boxes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.detectors.letterbox import Letterbox, Placing

SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
LETTERBOXES = st.builds(Letterbox, SIZES, st.tuples(st.integers(16, 1500), st.integers(16, 1500)))
SHARES = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4)


def boxes_in(letterbox, shares):
    """Return a box in the image from shares of its width and height."""
    points = np.sort(np.reshape(shares, (2, 2)), axis=0) * letterbox.image - 0.5
    return points.reshape(1, 4)


@given(LETTERBOXES, SHARES)
def test_a_box_is_unchanged_after_conversion_to_the_input_and_back(letterbox, shares):
    boxes = boxes_in(letterbox, shares)
    back = letterbox.to_image(letterbox.to_input(boxes))
    np.testing.assert_allclose(back, boxes, atol=1e-6)


@given(LETTERBOXES, SHARES)
def test_a_box_in_the_image_is_within_the_input(letterbox, shares):
    inside = letterbox.to_input(boxes_in(letterbox, shares)).reshape(2, 2)
    assert (inside >= np.array(letterbox.corner) - 1e-6).all()
    assert (inside <= np.array(letterbox.corner) + letterbox.scaled + 1e-6).all()
    assert (np.array(letterbox.corner) + letterbox.scaled <= letterbox.input).all()


@given(LETTERBOXES)
def test_the_image_fills_the_input_in_one_direction_and_keeps_its_aspect_ratio(letterbox):
    assert any(own == whole for own, whole in zip(letterbox.scaled, letterbox.input, strict=True))
    scales = np.array(letterbox.scaled) / letterbox.image
    # Rounded to whole pixels, at least one.
    assert abs(scales[0] - scales[1]) <= (1.0 / np.array(letterbox.image)).max()


def test_one_letterbox_has_the_expected_numbers():
    letterbox = Letterbox((1920, 1200), (640, 640))
    assert letterbox.scaled == (640, 400)
    assert letterbox.corner == (0, 120)
    # The centre of the input is that of the image; a pixel's centre has its integer coordinate.
    np.testing.assert_allclose(
        letterbox.to_image(np.array([[310.0, 310.0, 330.0, 330.0]])),
        [[929.5, 569.5, 989.5, 629.5]],
    )


def test_boxes_are_clipped_to_the_image():
    letterbox = Letterbox((100, 50), (100, 100))
    beyond = letterbox.to_image(np.array([[-10.0, 0.0, 200.0, 100.0]]))
    np.testing.assert_allclose(beyond, [[-0.5, -0.5, 99.5, 49.5]])


def test_the_image_is_centred_on_grey():
    white = np.full((10, 40, 3), 255, np.uint8)
    framed = Letterbox((40, 10), (32, 32)).put(white)
    assert framed.shape == (32, 32, 3)
    rows = framed[:, :, 0]
    assert (rows[12:20] == 255).all()
    assert (rows[:12] == 114).all()
    assert (rows[20:] == 114).all()


@given(LETTERBOXES, SHARES, st.sampled_from(Placing))
def test_a_box_is_converted_back_in_every_placing(letterbox, shares, placing):
    placed = Letterbox(letterbox.image, letterbox.input, placing)
    boxes = boxes_in(placed, shares)
    np.testing.assert_allclose(placed.to_image(placed.to_input(boxes)), boxes, atol=1e-6)


def test_each_placing_has_its_place():
    image = np.full((10, 40, 3), 255, np.uint8)
    white = {
        placing: np.argwhere(Letterbox((40, 10), (32, 32), placing).put(image)[..., 0] == 255)
        for placing in Placing
    }
    corners = {
        placing: (each.min(axis=0).tolist(), each.max(axis=0).tolist())
        for placing, each in white.items()
    }
    assert corners == {
        Placing.CENTRED: ([12, 0], [19, 31]),
        Placing.TOP_LEFT: ([0, 0], [7, 31]),
        Placing.STRETCHED: ([0, 0], [31, 31]),
    }


def test_the_size_at_the_top_left_is_rounded_down_and_has_one_scale():
    """As in YOLOX: 501 x 333 becomes 192 x 127.6."""
    placed = Letterbox((501, 333), (192, 192), Placing.TOP_LEFT)
    assert placed.scaled == (192, 127)
    scale = 501 / 192
    np.testing.assert_allclose(
        placed.to_image(np.array([[10.0, 20.0, 30.0, 100.0]])) + 0.5,
        [[10 * scale, 20 * scale, 30 * scale, 100 * scale]],
    )
