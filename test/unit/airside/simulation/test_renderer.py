# SPDX-License-Identifier: Apache-2.0
"""Images of the simulated camera."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from flown import CAMERA, MOUNTED, on_ground

from worker_pipeline.airside.geometry.distortion import LensDistortion
from worker_pipeline.airside.geometry.pinhole import CameraPose
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import quaternion_from_euler
from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.simulation import lens as lens_module
from worker_pipeline.airside.simulation.imagery import Orthophoto, synthetic_ground
from worker_pipeline.airside.simulation.pads import Pad
from worker_pipeline.airside.simulation.renderer import Renderer

# A barrel of 8 % in the corners, and none.
LENSES = [LensDistortion(), LensDistortion(-0.6, 0.25, 0.004, -0.003, 0.05)]


@pytest.fixture(params=LENSES, ids=['ideal', 'distorting'])
def camera(request):
    return attrs.evolve(CAMERA, distortion=request.param)


def camera_over(east, north, roll=0.1, pitch=-0.15, yaw=0.7):
    body = Pose(np.array([east, north, 60.0]), quaternion_from_euler(roll, pitch, yaw))
    return CameraPose.from_body(body, MOUNTED)


@pytest.mark.slow
@pytest.mark.parametrize('seen', [(900, 500), (150, 1080)])
def test_a_mark_on_the_ground_is_drawn_at_its_projection(camera, seen):
    """One bright half-metre square on black ground: the centre of the light is its centre."""
    pose = camera_over(4.0, -3.0)
    ((east, north, _),) = on_ground(pose, [seen], camera)
    pixels = np.zeros((1000, 1000, 3), np.uint8)
    column, row = round(10 * east + 499.5), round(499.5 - 10 * north)
    pixels[row - 2 : row + 3, column - 2 : column + 3] = 255
    ground = Orthophoto(pixels, 0.1)
    place = ground.ground_from_pixel @ [column, row, 1]
    frame = Renderer(ground, [], camera).render(pose)[:, :, 0].astype(float)
    v, u = np.mgrid[0 : camera.height, 0 : camera.width]
    middle = [(frame * u).sum() / frame.sum(), (frame * v).sum() / frame.sum()]
    expected = pose.project_points(camera, [[place[0], place[1], 0.0]])[0]
    np.testing.assert_allclose(middle, expected, atol=0.2)


@pytest.mark.slow
@pytest.mark.parametrize('label', [5, NO_LABEL])
def test_a_pad_is_drawn_at_its_projection(camera, label):
    dark = Orthophoto(np.zeros((800, 800, 3), np.uint8), 0.1)
    pad = Pad(label, east=3.25, north=-2.5, heading=0.4)
    pose = camera_over(4.0, -3.0)
    frame = Renderer(dark, [pad], camera).render(pose)
    v, u = np.nonzero(frame.max(axis=2) > 12)
    corner = pad.size / 2 * (1 if label == NO_LABEL else math.sqrt(2))
    around = [
        [pad.east + e * corner, pad.north + n * corner, 0.0] for e in (-1, 1) for n in (-1, 1)
    ]
    box = pose.project_points(camera, around)
    assert box.min(axis=0)[0] - 2 < u.min() < u.max() < box.max(axis=0)[0] + 2
    assert box.min(axis=0)[1] - 2 < v.min() < v.max() < box.max(axis=0)[1] + 2
    middle = pose.project_points(camera, [[pad.east, pad.north, 0.0]])[0]
    np.testing.assert_allclose([(u.min() + u.max()) / 2, (v.min() + v.max()) / 2], middle, atol=1)


def test_pads_at_the_edge_are_clipped_and_pads_out_of_view_are_not_drawn():
    dark = Orthophoto(np.zeros((800, 800, 3), np.uint8), 0.1)
    pose = camera_over(0.0, 0.0, 0.0, 0.0, 0.0)
    edge = on_ground(pose, [[0.0, 600.0]])[0]
    cut = Renderer(dark, [Pad(5, edge[0], edge[1])], CAMERA).render(pose)
    assert cut[:, :40].any()
    assert not cut[:, 100:].any()
    assert not Renderer(dark, [Pad(5, 300.0, 0.0)], CAMERA).render(pose).any()


def test_frames_are_deterministic():
    pads = [Pad(5, 0.0, 0.0)]
    first, second = (
        Renderer(synthetic_ground(120.0), pads, CAMERA).render(camera_over(0.0, 0.0))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_ground_continues_past_the_edge_of_the_photograph():
    pale = Orthophoto(np.full((100, 100, 3), 200, np.uint8), 0.1)
    frame = Renderer(pale, [], CAMERA).render(camera_over(0.0, 0.0))
    assert (frame == 200).all()


@pytest.mark.slow
def test_a_distorting_lens_leaves_no_corner_empty(camera):
    """Also a pincushion, which sees less than an ideal lens."""
    for lens in (camera.distortion, LensDistortion(0.3, 0.1)):
        pale = Orthophoto(np.full((100, 100, 3), 200, np.uint8), 0.1)
        frame = Renderer(pale, [], attrs.evolve(CAMERA, distortion=lens)).render(
            camera_over(0.0, 0.0)
        )
        assert frame.shape == (CAMERA.height, CAMERA.width, 3)
        assert (frame == 200).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('lens', 'expected'),
    [
        (LensDistortion(k1=-3.0), 'which makes pixels without a ray'),
        (LensDistortion(k1=-2.1, k2=2.4), 'an undistorted picture 1.9 times as large'),
    ],
)
def test_a_lens_that_cannot_be_undone_over_the_image_is_rejected(monkeypatch, lens, expected):
    monkeypatch.setattr(lens_module, '_MAX_WIDENING', 1.5)
    ground = synthetic_ground(120.0)
    with pytest.raises(
        ValueError, match=rf'distortion: found .*{expected}; allowed: a distortion that can'
    ):
        Renderer(ground, [], attrs.evolve(CAMERA, distortion=lens))
