# SPDX-License-Identifier: Apache-2.0
"""An image in a model's input, and the conversion of boxes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.detectors.letterbox import Letterbox

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
