# SPDX-License-Identifier: Apache-2.0
"""Square markers, small and large, sharp and blurred."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from worker_pipeline.airside.detect_target import DetectTarget
from worker_pipeline.airside.detectors.aruco import ArucoDetector
from worker_pipeline.airside.simulation.pads import Pad


def detector(**params):
    stage = DetectTarget()
    stage.bind(params)
    return ArucoDetector(stage.params)


def marker(side, label=17, turn=0.5, blur=0.0, noise=0.0):
    """Return a board with a marker of this side in pixels, and the marker's centre."""
    texture = Pad(label, 0.0, 0.0).texture()[0]
    scale = side / (0.8 * texture.shape[0])
    middle = np.array([301.3, 198.6])
    turning = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    offset = middle - turning @ np.full(2, (texture.shape[0] - 1) / 2)
    # Drawn large and reduced, so that its edges do not alias.
    fine = 4 * np.column_stack([turning, offset + 0.375])
    size = (2400, 1600)
    background = np.full((*size[::-1], 3), 90, np.uint8)
    cv2.warpAffine(texture, fine, size, background, cv2.INTER_AREA, cv2.BORDER_TRANSPARENT)
    pixels = cv2.resize(background, (600, 400), interpolation=cv2.INTER_AREA)
    if blur:
        pixels = cv2.GaussianBlur(pixels, (0, 0), blur)
    noisy = pixels + np.random.default_rng(1).normal(0, noise, pixels.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), middle


@pytest.mark.slow
@pytest.mark.parametrize('side', [33, 60, 130, 260])
@pytest.mark.parametrize(('blur', 'noise'), [(0.0, 0.0), (1.0, 5.0)], ids=['sharp', 'blurred'])
def test_a_marker_is_decoded_and_located_to_a_fraction_of_a_pixel(side, blur, noise):
    pixels, middle = marker(side, blur=blur, noise=noise)
    (found,) = detector().detect(pixels)
    assert found['label'] == 17
    np.testing.assert_allclose([found['u'], found['v']], middle, atol=0.35)


def test_a_marker_unreadable_in_the_reduced_image_is_read_in_the_full_one():
    pixels, middle = marker(32, blur=1.8, noise=4.0)
    third = detector(aruco_search_scale=0.35).detect(pixels)
    assert list(third['label']) == [17]
    np.testing.assert_allclose([third['u'][0], third['v'][0]], middle, atol=1.0)


def test_the_labels_are_those_of_the_dictionary():
    assert detector().labels == range(50)
    assert detector(aruco_dictionary='DICT_6X6_250').labels == range(250)
