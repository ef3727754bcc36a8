# SPDX-License-Identifier: Apache-2.0
"""Infrared emitters in a dark scene."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from flown import CAMERA, MOUNTED

from worker_pipeline.airside.detect_target import DetectTarget
from worker_pipeline.airside.detectors.brightspot import BrightspotDetector
from worker_pipeline.airside.geometry.pinhole import CameraPose
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import quaternion_from_euler
from worker_pipeline.airside.simulation.imagery import synthetic_ground
from worker_pipeline.airside.simulation.infrared import Emitter, InfraredRenderer


def detector(**params):
    stage = DetectTarget()
    stage.bind(params)
    return BrightspotDetector(stage.params)


def dark(noise=3.0, level=20.0):
    random = np.random.default_rng(1)
    grey = np.clip(random.normal(level, noise, (400, 600)), 0, 255).astype(np.uint8)
    return np.dstack([grey] * 3)


def with_shape(corners, value=255):
    """Return a dark image with a bright polygon."""
    pixels = dark()
    cv2.fillPoly(pixels, [np.array(corners, np.int32)], (value,) * 3, cv2.LINE_AA)
    return pixels


def circle(u, v, radius):
    turns = np.linspace(0, 2 * math.pi, 60)
    return np.column_stack([u + radius * np.cos(turns), v + radius * np.sin(turns)]).round()


@pytest.mark.slow
@pytest.mark.parametrize('height', [10.0, 20.0, 40.0, 75.0])
@pytest.mark.parametrize('power', [180.0, 900.0], ids=['faint', 'saturated'])
def test_emitters_are_located_from_any_height(height, power):
    pose = CameraPose.from_body(
        Pose(np.array([0.0, 0.0, height]), quaternion_from_euler(0.05, -0.06, 0.5)), MOUNTED
    )
    pixels = [[300, 300], [1500, 900]]
    places = pose.intersect_plane(CAMERA.rays(pixels), 0.0, 0.1)
    emitters = [Emitter(*place[:2], size=0.3, power=power) for place in places]
    frame = InfraredRenderer(synthetic_ground(), emitters, CAMERA).render(pose)
    found = np.sort(detector().detect(frame), order='u')
    np.testing.assert_allclose(np.column_stack([found['u'], found['v']]), pixels, atol=1.0)
    assert (found['confidence'] > 0.9).all()
    assert ((found['x1'] < found['u']) & (found['u'] < found['x2'])).all()


@pytest.mark.parametrize('noise', [0.0, 2.0, 15.0])
def test_a_dark_scene_without_emitters_gives_no_detections(noise):
    assert len(detector().detect(dark(noise))) == 0


def test_a_scene_in_daylight_gives_no_detections():
    ground = synthetic_ground().pixels
    assert len(detector().detect(ground)) == 0


@pytest.mark.parametrize(
    'corners',
    [
        [[100, 100], [160, 103], [100, 106]],
        [[100, 100], [140, 100], [140, 120], [100, 120]],
        [[100, 100], [130, 100], [130, 110], [110, 110], [110, 130], [100, 130]],
        [[100, 100], [101, 100], [101, 101], [100, 101]],
    ],
    ids=['sliver', 'roof', 'corner', 'fault of the sensor'],
)
def test_a_glint_is_not_detected(corners):
    assert len(detector().detect(with_shape(corners))) == 0


def test_a_part_of_a_larger_bright_area_is_not_detected():
    """A round spot on a bright surface, such as a lit wall."""
    pixels = with_shape([[130, 120], [190, 120], [190, 180], [130, 180]], value=130)
    cv2.circle(pixels, (160, 150), 8, (255,) * 3, -1, cv2.LINE_AA)
    assert len(detector().detect(pixels)) == 0


def test_the_size_is_configured_in_metres_on_the_ground():
    pixels = with_shape(circle(300, 200, 12))
    assert len(detector().detect(pixels)) == 1
    # 24 pixels are 0.34 m from 40 m, and 0.08 m from 10 m.
    at_40 = {'brightspot_height': [35.0, 45.0]}
    at_10 = {'brightspot_height': [9.0, 11.0]}
    assert len(detector(**at_40).detect(pixels)) == 1
    assert len(detector(**at_10, brightspot_size=[0.2, 0.5]).detect(pixels)) == 0
    small = {'brightspot_size': [0.05, 0.1]}
    assert len(detector(**at_40, **small).detect(pixels)) == 0
    assert len(detector(**at_10, **small).detect(pixels)) == 1


@pytest.mark.parametrize('name', ['brightspot_size', 'brightspot_height'])
def test_an_invalid_range_is_named(name):
    with pytest.raises(ValueError, match=rf'{name}: found \[3\.0\]; allowed: two finite numbers'):
        detector(**{name: [3.0]})
    with pytest.raises(ValueError, match=rf'{name}: found \[3\.0, 1\.0\]; allowed: the smallest'):
        detector(**{name: [3.0, 1.0]})


@pytest.mark.parametrize('row', range(200, 206))
def test_a_line_that_lies_between_the_samples_is_no_spot(row):
    # A long spot is measured by every n-th row of its surroundings: here it may be none of its own.
    pixels = dark(noise=0.0)
    pixels[row, 300:428] = 190
    assert not len(detector().detect(pixels))
