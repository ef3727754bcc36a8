"""What a camera sees of flat ground with pads on it, pixel by exact pixel, and quickly.

The ground is one layer and every pad another, for a pad needs a hundred times the photograph's
resolution. A plane seen by a pinhole camera is a homography, so each layer is one perspective warp.
A lens that distorts bends the whole picture once more, by a map that is made once.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.pinhole import CameraPose, PinholeCamera
from worker_pipeline.simulation.imagery import Orthophoto
from worker_pipeline.simulation.lens import Lens
from worker_pipeline.simulation.pads import Pad

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]

# The ground is drawn at half the size and enlarged: at survey height the photograph's pixels are
# still larger than two of the camera's, so nothing is lost and most of the time is saved.
_GROUND_SCALE = 0.5
# A pad's pixels are the mean of this many squared: without it marker edges would alias.
_OVERSAMPLING = 4
_MARGIN = 2  # pixels around a pad's box


class Renderer:
    """Draws frames of one world for one camera. ValueError for a lens that cannot be undone."""

    def __init__(self, ground: Orthophoto, pads: Sequence[Pad], camera: PinholeCamera) -> None:
        self._ground = ground
        self._pads = list(pads)
        self._lens = None if camera.distortion.is_none else Lens(camera)
        self._camera = camera if self._lens is None else self._lens.ideal

    def render(self, pose: CameraPose, room: Pixels | None = None) -> Pixels:
        """The frame (H, W, 3), BGR, that the camera takes from ``pose``, above the ground.

        ``room``: where it is drawn; None: in memory of its own.
        """
        image_from_ground = pose.plane_homography(self._camera)
        frame = self._draw_ground(image_from_ground, None if self._lens else room)
        for pad in self._pads:
            self._draw_pad(frame, pad, image_from_ground)
        return frame if self._lens is None else self._lens.bend(frame, room)

    def _draw_ground(self, image_from_ground: Matrix, room: Pixels | None) -> Pixels:
        size = (self._camera.width, self._camera.height)
        small = (round(size[0] * _GROUND_SCALE), round(size[1] * _GROUND_SCALE))
        # As it will be enlarged: by a little more or less than twice, where the size is odd.
        rescaling = _rescaling(small[0] / size[0], small[1] / size[1])
        homography = rescaling @ image_from_ground @ self._ground.ground_from_pixel
        # Past the photograph's edge it is mirrored: ground that is there, if not where it belongs.
        half = cv2.warpPerspective(
            self._ground.pixels,
            homography,
            small,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return np.asarray(cv2.resize(half, size, room, interpolation=cv2.INTER_LINEAR), np.uint8)

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
    """3x3: pixel to pixel of the image resized so; a pixel's middle is its coordinate."""
    return np.array([[u, 0.0, 0.5 * u - 0.5], [0.0, v, 0.5 * v - 0.5], [0.0, 0.0, 1.0]])


def _box_of(
    homography: Matrix, side: int, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of a texture's image, cut to the frame; None if it is not in it."""
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
