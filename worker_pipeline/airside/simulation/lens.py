# SPDX-License-Identifier: Apache-2.0
"""The distortion of a lens, applied to the picture of an ideal camera."""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.geometry.distortion import LensDistortion
from worker_pipeline.airside.geometry.pinhole import PinholeCamera

Pixels = npt.NDArray[np.uint8]

# Rows whose rays are computed at once: all of them would take hundreds of megabytes.
_ROWS = 64
_MARGIN = 2  # pixels of the ideal picture, for the interpolation
# Greatest ratio of the ideal picture's size to the actual one.
_MAX_WIDENING = 4.0


class Lens:
    """Distorts pictures. ``ideal``: the undistorted camera that sees all that ``camera`` does."""

    def __init__(self, camera: PinholeCamera) -> None:
        rows = range(0, camera.height, _ROWS)
        rays = np.concatenate([_rays(camera, row) for row in rows]).astype(np.float32)
        places = rays * np.array([camera.fx, camera.fy], np.float32)
        if not np.isfinite(places).all():
            raise ValueError(_unusable(camera, 'pixels without a ray'))
        low = np.floor(places.min(axis=(0, 1))) - _MARGIN
        width, height = (np.ceil(places.max(axis=(0, 1))) - low + _MARGIN + 1).astype(int)
        widening = max(width / camera.width, height / camera.height)
        if widening > _MAX_WIDENING:
            raise ValueError(
                _unusable(camera, f'an undistorted picture {widening:.1f} times as large')
            )
        self.ideal = attrs.evolve(
            camera,
            width=int(width),
            height=int(height),
            cx=-float(low[0]),
            cy=-float(low[1]),
            distortion=LensDistortion(),
        )
        u, v = np.moveaxis(places - low.astype(np.float32), 2, 0)
        # Accurate to a 32nd of a pixel, like the rest of the drawing.
        self._map = cv2.convertMaps(u.copy(), v.copy(), cv2.CV_16SC2)

    def distort(self, picture: Pixels, out: Pixels | None = None) -> Pixels:
        """Return the picture of ``ideal`` (H, W, 3) as seen through the lens, drawn in ``out``."""
        bent = cv2.remap(picture, self._map[0], self._map[1], cv2.INTER_LINEAR, out)
        return np.asarray(bent, dtype=np.uint8)


def _rays(camera: PinholeCamera, first: int) -> npt.NDArray[np.float64]:
    """Return x and y of the rays of some rows of pixels: (rows, width, 2)."""
    rows = np.arange(first, min(first + _ROWS, camera.height))
    v, u = np.meshgrid(rows, np.arange(camera.width), indexing='ij')
    rays = camera.rays(np.column_stack([u.ravel(), v.ravel()]))
    return np.asarray(rays[:, :2].reshape(*u.shape, 2))


def _unusable(camera: PinholeCamera, found: str) -> str:
    lens = camera.distortion
    coefficients = [lens.k1, lens.k2, lens.p1, lens.p2, lens.k3]
    text = f'distortion: found {coefficients}, which makes {found}'
    return f'{text}; allowed: a distortion that can be undone over the whole image'
