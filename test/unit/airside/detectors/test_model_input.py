# SPDX-License-Identifier: Apache-2.0
"""The order and the range of the pixels for each family of models."""

from __future__ import annotations

import numpy as np
import pytest

from worker_pipeline.airside.detectors.model_input import tensor_of

BLUE, GREEN, RED = 10, 100, 200
FRAME = np.full((2, 3, 3), (BLUE, GREEN, RED), np.uint8)
SHARES = np.array([RED, GREEN, BLUE]) / 255
DEVIATIONS = (SHARES - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


@pytest.mark.parametrize(
    ('layout', 'channels'),
    [
        ('v5', SHARES),
        ('v8', SHARES),
        ('end_to_end', SHARES),
        ('rtdetr', SHARES),
        ('detr_sigmoid', SHARES),
        ('yolox', (BLUE, GREEN, RED)),
        ('yolox_decoded', (BLUE, GREEN, RED)),
        ('rfdetr', DEVIATIONS),
        ('detr_softmax', DEVIATIONS),
    ],
)
def test_a_model_receives_pixels_as_in_its_training(layout, channels):
    tensor = tensor_of([FRAME, FRAME], layout, np.float32)
    assert tensor.shape == (2, 3, 2, 3)
    assert tensor.dtype == np.float32
    wanted = np.broadcast_to(np.reshape(channels, (1, 3, 1, 1)), tensor.shape)
    np.testing.assert_allclose(tensor, wanted, rtol=1e-5)


def test_the_quotient_is_exact():
    """A product with 1/255 is one unit in the last place off for some levels."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    tensor = tensor_of([levels], 'v8', np.float32)
    np.testing.assert_array_equal(tensor[0, 0].ravel(), np.arange(256, dtype=np.float32) / 255)


@pytest.mark.parametrize(('kind', 'close'), [(np.float16, 1e-3), (np.uint8, 0)])
def test_an_input_of_another_type_receives_that_type(kind, close):
    tensor = tensor_of([FRAME], 'v8', kind)
    assert tensor.dtype == kind
    wanted = (RED, GREEN, BLUE) if kind == np.uint8 else SHARES
    np.testing.assert_allclose(tensor[0, :, 0, 0], wanted, rtol=close)
