# SPDX-License-Identifier: Apache-2.0
"""The photograph under the simulated flight, and the ground it shows.

It is an aerial photograph of the National Ecological Observatory Network (Yellowstone, 2019), from
the wheel of deepforest 2.1.0 (MIT licence), fetched by ``python -m
worker_pipeline.airside.simulation.fetch_imagery``. This module downloads nothing.
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.simulation.photograph import ImageryMissingError, find_photograph

Pixels = npt.NDArray[np.uint8]

METRES_PER_PIXEL = 0.1

# The file's name gives its kilometre square in UTM zone 12 north, (528000, 4978000) to (529000,
# 4979000); the position of the crop within it is not recorded. It is assumed in the centre, with
# image rows due east: accurate to some hundred metres, which is enough for a simulated world. These
# are WGS 84, of UTM (528500, 4978500).
ORIGIN_LATITUDE = 44.95936602
ORIGIN_LONGITUDE = -110.63865039
ORIGIN_ALTITUDE = 2000.0  # m, approximate height of that plateau


@attrs.frozen(eq=False)
class Orthophoto:
    """A photograph of flat ground, seen from above, north up.

    ``pixels``: (H, W, 3), BGR. ``metres_per_pixel``: m. Its centre is the origin of the world.
    """

    pixels: Pixels
    metres_per_pixel: float

    @property
    def ground_from_pixel(self) -> npt.NDArray[np.float64]:
        """Return the 3x3 matrix from pixels ``(u, v, 1)`` to ``(east, north, 1)``, m."""
        height, width = self.pixels.shape[:2]
        scale = self.metres_per_pixel
        return np.array(
            [
                [scale, 0.0, -scale * (width - 1) / 2],
                [0.0, -scale, scale * (height - 1) / 2],
                [0.0, 0.0, 1.0],
            ]
        )


def load_photograph(given: str = '') -> Orthophoto:
    """Return the photograph; raises :class:`ImageryMissingError`."""
    path = find_photograph(given)
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ImageryMissingError(f'{path} is not an image that OpenCV can read')
    return Orthophoto(np.asarray(pixels, dtype=np.uint8), METRES_PER_PIXEL)


def synthetic_ground(size: float = 250.0, seed: int = 1) -> Orthophoto:
    """Return ground without a file: ``size`` metres square of seeded, greenish patches."""
    scale = 0.25
    cells = round(size / scale)
    random = np.random.default_rng(seed)
    ground = np.full((cells, cells, 3), [70.0, 120.0, 100.0])
    for patch in (4, 16, 64):
        # Mostly variations of brightness, and a little of colour, as on real ground.
        coarse_cells = max(2, cells // patch)
        coarse = random.normal(0, 14, (coarse_cells, coarse_cells, 1))
        coarse = coarse + random.normal(0, 3, (coarse_cells, coarse_cells, 3))
        ground += cv2.resize(coarse, (cells, cells), interpolation=cv2.INTER_CUBIC)
    return Orthophoto(np.clip(ground, 0, 255).astype(np.uint8), scale)
