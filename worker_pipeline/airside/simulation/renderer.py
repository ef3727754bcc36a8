# SPDX-License-Identifier: Apache-2.0
"""Rendering of flat ground with pads, fast and accurate to a fraction of a pixel.

The ground is one layer and each pad another, since a pad needs a hundred times the photograph's
resolution. A plane seen by a pinhole camera is a homography, so each layer is one perspective warp.
A lens then distorts the whole picture, by a map that is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.geometry.pinhole import CameraPose, PinholeCamera
from worker_pipeline.airside.simulation.imagery import Orthophoto
from worker_pipeline.airside.simulation.lens import Lens
from worker_pipeline.airside.simulation.pads import Pad

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]

# The ground is drawn at half size and enlarged: at survey height a pixel of the photograph covers
# more than two of the camera's, so no detail is lost and most of the time is saved.
_GROUND_SCALE = 0.5
# A pad's pixels are the mean of this number squared; otherwise marker edges would alias.
_OVERSAMPLING = 4
_MARGIN = 2  # pixels around a pad's box


class Renderer:
    """Renders frames of one world for one camera. ValueError if the lens cannot be undone.

    Args:
        ground: The photograph of the ground.
        pads: The pads on it.
        camera: The camera with its lens.
    """

    def __init__(self, ground: Orthophoto, pads: Sequence[Pad], camera: PinholeCamera) -> None:
        self._ground = ground
        self._pads = list(pads)
        self._lens = None if camera.distortion.is_none else Lens(camera)
        self._camera = camera if self._lens is None else self._lens.ideal

    def render(self, pose: CameraPose, out: Pixels | None = None) -> Pixels:
        """Return the frame (H, W, 3), BGR, that the camera takes from ``pose``, above the ground.

        ``out``: the array to draw in; None: a new one.
        """
        image_from_ground = pose.plane_homography(self._camera)
        frame = self._draw_ground(image_from_ground, None if self._lens else out)
        for pad in self._pads:
            self._draw_pad(frame, pad, image_from_ground)
        return frame if self._lens is None else self._lens.distort(frame, out)

    def _draw_ground(self, image_from_ground: Matrix, out: Pixels | None) -> Pixels:
        size = (self._camera.width, self._camera.height)
        small = (round(size[0] * _GROUND_SCALE), round(size[1] * _GROUND_SCALE))
        # The actual enlargement, which is not exactly 2 where the size is odd.
        rescaling = _rescaling(small[0] / size[0], small[1] / size[1])
        homography = rescaling @ image_from_ground @ self._ground.ground_from_pixel
        # Beyond its edge the photograph is mirrored, to show plausible ground.
        half = cv2.warpPerspective(
            self._ground.pixels,
            homography,
            small,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return np.asarray(cv2.resize(half, size, out, interpolation=cv2.INTER_LINEAR), np.uint8)

    def _draw_pad(self, frame: Pixels, pad: Pad, image_from_ground: Matrix) -> None:
        texture, opacity = pad.texture()
        homography = image_from_ground @ pad.ground_from_texture
        box = _box_of(homography, texture.shape[0], frame.shape[1], frame.shape[0])
        if box is None:
            return
        left, top, right, bottom = box
        size = (right - left, bottom - top)
        shift = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
        fine = _rescaling(_OVERSAMPLING, _OVERSAMPLING) @ shift @ homography
        fine_size = (size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING)
        layer = cv2.warpPerspective(
            texture, fine, fine_size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        cover = cv2.warpPerspective(opacity, fine, fine_size, flags=cv2.INTER_LINEAR)
        colour = cv2.resize(layer, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        opaque = cv2.resize(cover.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        share = opaque[:, :, None] / 255
        patch = frame[top:bottom, left:right]
        patch[:] = np.rint(share * colour + (1 - share) * patch)


def _rescaling(u: float, v: float) -> Matrix:
    """Return the 3x3 matrix of a resizing; integer coordinates are pixel centres."""
    return np.array([[u, 0.0, 0.5 * u - 0.5], [0.0, v, 0.5 * v - 0.5], [0.0, 0.0, 1.0]])


def _box_of(
    homography: Matrix, side: int, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Return left, top, right, bottom of a texture in the frame; None if it is outside."""
    edge = side - 0.5
    corners = np.array([[-0.5, -0.5, 1], [edge, -0.5, 1], [edge, edge, 1], [-0.5, edge, 1]])
    projected = corners @ homography.T
    if (projected[:, 2] <= 0).any():
        return None  # reaches behind the camera
    points = projected[:, :2] / projected[:, 2:]
    low = np.floor(points.min(axis=0)).astype(int) - _MARGIN
    high = np.ceil(points.max(axis=0)).astype(int) + _MARGIN + 1
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    right, bottom = min(width, int(high[0])), min(height, int(high[1]))
    return (left, top, right, bottom) if right > left and bottom > top else None
