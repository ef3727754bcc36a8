"""A lens that distorts: from the picture of an ideal camera to the one that is taken through it."""

from __future__ import annotations

import attrs
import cv2
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.distortion import LensDistortion
from worker_pipeline.airside.pinhole import PinholeCamera

Pixels = npt.NDArray[np.uint8]

# Rows whose rays are found at once: all of them would take hundreds of megabytes.
_ROWS = 64
_MARGIN = 2  # pixels of the ideal picture, for the interpolation
# How often larger than the picture the ideal one may be: beyond, the lens is hardly one.
_MOST_WIDENING = 4.0


class Lens:
    """``ideal``: the camera without distortion that sees all that ``camera`` does."""

    def __init__(self, camera: PinholeCamera) -> None:
        rows = range(0, camera.height, _ROWS)
        rays = np.concatenate([_rays(camera, row) for row in rows]).astype(np.float32)
        places = rays * np.array([camera.fx, camera.fy], np.float32)
        if not np.isfinite(places).all():
            raise ValueError(_unusable(camera, 'pixels that no light comes to'))
        low = np.floor(places.min(axis=(0, 1))) - _MARGIN
        width, height = (np.ceil(places.max(axis=(0, 1))) - low + _MARGIN + 1).astype(int)
        widening = max(width / camera.width, height / camera.height)
        if widening > _MOST_WIDENING:
            raise ValueError(_unusable(camera, f'an ideal picture {widening:.1f} times as large'))
        self.ideal = attrs.evolve(
            camera,
            width=int(width),
            height=int(height),
            cx=-float(low[0]),
            cy=-float(low[1]),
            distortion=LensDistortion(),
        )
        u, v = np.moveaxis(places - low.astype(np.float32), 2, 0)
        # To a 32nd of a pixel, which is as fine as what is drawn.
        self._map = cv2.convertMaps(u.copy(), v.copy(), cv2.CV_16SC2)

    def bend(self, picture: Pixels, room: Pixels | None = None) -> Pixels:
        """The picture that ``ideal`` takes (H, W, 3), as it is through the lens, in ``room``."""
        bent = cv2.remap(picture, self._map[0], self._map[1], cv2.INTER_LINEAR, room)
        return np.asarray(bent, dtype=np.uint8)


def _rays(camera: PinholeCamera, first: int) -> npt.NDArray[np.float64]:
    """x and y of the rays of some rows of pixels: (rows, width, 2)."""
    rows = np.arange(first, min(first + _ROWS, camera.height))
    v, u = np.meshgrid(rows, np.arange(camera.width), indexing='ij')
    rays = camera.rays(np.column_stack([u.ravel(), v.ravel()]))
    return np.asarray(rays[:, :2].reshape(*u.shape, 2))


def _unusable(camera: PinholeCamera, found: str) -> str:
    lens = camera.distortion
    coefficients = [lens.k1, lens.k2, lens.p1, lens.p2, lens.k3]
    text = f'distortion: found {coefficients}, which makes {found}'
    return f'{text}; allowed: one that can be undone over the whole image'
