# SPDX-License-Identifier: Apache-2.0
"""Infrared emitters in images of the simulated camera."""

from __future__ import annotations

import numpy as np
import pytest
from flown import CAMERA, MOUNTED

from worker_pipeline.airside.geometry.pinhole import CameraPose
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import quaternion_from_euler
from worker_pipeline.airside.simulation.imagery import Orthophoto
from worker_pipeline.airside.simulation.infrared import Emitter, InfraredRenderer

BLACK = Orthophoto(np.zeros((50, 50, 3), np.uint8), 0.1)
GREY = Orthophoto(np.full((50, 50, 3), 100, np.uint8), 0.1)


def seen(emitter, height=40.0, tilt=0.0, ground=BLACK, **kind):
    pose = CameraPose.from_body(
        Pose(np.array([0.0, 0.0, height]), quaternion_from_euler(0.0, tilt, 0.3)), MOUNTED
    )
    frame = InfraredRenderer(ground, [emitter], CAMERA, **kind).render(pose)
    place = pose.project_points(CAMERA, [[emitter.east, emitter.north, 0.0]])[0]
    return frame[:, :, 0].astype(float), place


def width_at_half(frame):
    """Return the width of a round spot from its area, pixels."""
    return np.sqrt(4 * (frame > frame.max() / 2).sum() / np.pi)


@pytest.mark.slow
def test_an_emitter_is_drawn_at_its_projection():
    frame, place = seen(Emitter(1.5, -1.0, power=200.0), tilt=0.15)
    v, u = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    middle = [(frame * u).sum() / frame.sum(), (frame * v).sum() / frame.sum()]
    np.testing.assert_allclose(middle, place, atol=0.2)


@pytest.mark.slow
@pytest.mark.parametrize('height', [10.0, 40.0])
def test_the_size_of_a_spot_is_that_on_the_ground(height):
    frame, _ = seen(Emitter(0.0, 0.0, size=0.5, power=200.0), height)
    assert width_at_half(frame) == pytest.approx(0.5 * CAMERA.fx / height, rel=0.05)
    assert frame.max() == pytest.approx(200, abs=4)


@pytest.mark.slow
def test_an_unresolved_spot_gets_fainter_with_height_but_not_smaller():
    near, far = (
        seen(Emitter(0.0, 0.0, size=0.02, power=20_000.0), height, spread=2.0)[0]
        for height in (110.0, 220.0)
    )
    assert width_at_half(near) == pytest.approx(width_at_half(far), rel=0.15)
    assert near.max() / far.max() == pytest.approx(4.0, rel=0.1)


@pytest.mark.slow
def test_a_bright_spot_is_saturated():
    frame, _ = seen(Emitter(0.0, 0.0, size=0.3, power=2000.0))
    assert (frame == 255).sum() > 100


@pytest.mark.slow
def test_the_ground_has_the_configured_brightness():
    frame, _ = seen(Emitter(500.0, 0.0), ground=GREY, ambient=0.2)
    assert (frame == 20).all()
