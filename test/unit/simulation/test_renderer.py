"""What the simulated camera sees."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flown import CAMERA, MOUNTED, on_ground

from worker_pipeline.airside.geometry import quaternion_from_euler
from worker_pipeline.airside.pinhole import CameraPose
from worker_pipeline.airside.pose import Pose
from worker_pipeline.airside.records import NO_LABEL
from worker_pipeline.simulation.imagery import Orthophoto, synthetic_ground
from worker_pipeline.simulation.pads import Pad
from worker_pipeline.simulation.renderer import Renderer


def camera_over(east, north, roll=0.1, pitch=-0.15, yaw=0.7):
    body = Pose(np.array([east, north, 60.0]), quaternion_from_euler(roll, pitch, yaw))
    return CameraPose.of(body, MOUNTED)


def test_a_mark_on_the_ground_is_seen_where_the_camera_must_see_it():
    """One bright half-metre square on black ground: the middle of the light is its middle."""
    pixels = np.zeros((1000, 1000, 3), np.uint8)
    pixels[498:503, 598:603] = 255  # middle: column 600, row 500
    ground = Orthophoto(pixels, 0.1)
    place = ground.ground_from_pixel @ [600, 500, 1]
    pose = camera_over(4.0, -3.0)
    frame = Renderer(ground, [], CAMERA).render(pose)[:, :, 0].astype(float)
    v, u = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    middle = [(frame * u).sum() / frame.sum(), (frame * v).sum() / frame.sum()]
    expected = pose.pixels_of(CAMERA, [[place[0], place[1], 0.0]])[0]
    np.testing.assert_allclose(middle, expected, atol=0.2)


@pytest.mark.parametrize('label', [5, NO_LABEL])
def test_a_pad_is_seen_where_the_camera_must_see_it(label):
    dark = Orthophoto(np.zeros((800, 800, 3), np.uint8), 0.1)
    pad = Pad(label, east=3.25, north=-2.5, heading=0.4)
    pose = camera_over(4.0, -3.0)
    frame = Renderer(dark, [pad], CAMERA).render(pose)
    v, u = np.nonzero(frame.max(axis=2) > 12)
    corner = pad.size / 2 * (1 if label == NO_LABEL else math.sqrt(2))
    around = [
        [pad.east + e * corner, pad.north + n * corner, 0.0] for e in (-1, 1) for n in (-1, 1)
    ]
    box = pose.pixels_of(CAMERA, around)
    assert box.min(axis=0)[0] - 2 < u.min() < u.max() < box.max(axis=0)[0] + 2
    assert box.min(axis=0)[1] - 2 < v.min() < v.max() < box.max(axis=0)[1] + 2
    middle = pose.pixels_of(CAMERA, [[pad.east, pad.north, 0.0]])[0]
    np.testing.assert_allclose([(u.min() + u.max()) / 2, (v.min() + v.max()) / 2], middle, atol=1)


def test_a_pad_at_the_edge_is_cut_off_and_one_out_of_view_is_not_seen():
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


def test_past_the_photographs_edge_there_is_ground():
    pale = Orthophoto(np.full((100, 100, 3), 200, np.uint8), 0.1)
    frame = Renderer(pale, [], CAMERA).render(camera_over(0.0, 0.0))
    assert (frame == 200).all()
