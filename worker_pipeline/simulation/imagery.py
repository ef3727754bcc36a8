"""The photograph under the simulated flight: where it is kept, and which ground it shows.

It is an aerial photograph of the National Ecological Observatory Network (Yellowstone, 2019), out
of the wheel of deepforest 2.1.0 (MIT licence): ``python -m
worker_pipeline.simulation.fetch_imagery`` takes it from there. Nothing here downloads anything.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

FILE_NAME = '2019_YELL_2_528000_4978000_image_crop2.png'
SHA256 = 'a9bdb0f4447fdd899d22f567e0e20ba8320c5413b2ad0cd0ac8d9f3b6e0f9767'
METRES_PER_PIXEL = 0.1

# The file's name gives its kilometre square in UTM zone 12 north, (528000, 4978000) to (529000,
# 4979000); where in the square the crop was taken is not recorded. Its middle is taken for the
# crop's middle, and image rows for lines due east: so it lies right to some hundred metres, which
# is as well as any for a world that is simulated. These are WGS 84, of UTM (528500, 4978500).
ORIGIN_LATITUDE = 44.95936602
ORIGIN_LONGITUDE = -110.63865039
ORIGIN_ALTITUDE = 2000.0  # m, a round figure for that plateau

# Set to a file to use it instead of the one in assets/.
ENVIRONMENT_VARIABLE = 'WORKER_PIPELINE_IMAGERY'


class ImageryMissingError(FileNotFoundError):
    """The photograph is not there, or is no photograph."""


@attrs.frozen(eq=False)
class Orthophoto:
    """A photograph of flat ground, seen straight from above, north up.

    ``pixels``: (H, W, 3), BGR. ``metres_per_pixel``: m. Its middle is the world's origin.
    """

    pixels: Pixels
    metres_per_pixel: float

    @property
    def ground_from_pixel(self) -> npt.NDArray[np.float64]:
        """3x3: homogeneous pixel ``(u, v, 1)`` to ``(east, north, 1)``, m."""
        height, width = self.pixels.shape[:2]
        scale = self.metres_per_pixel
        return np.array(
            [
                [scale, 0.0, -scale * (width - 1) / 2],
                [0.0, -scale, scale * (height - 1) / 2],
                [0.0, 0.0, 1.0],
            ]
        )


def find_photograph(given: str = '') -> Path:
    """The photograph's path: the one given, else the environment's, else the one in ``assets``.

    Raises :class:`ImageryMissingError` naming every place looked at.
    """
    named = given or os.environ.get(ENVIRONMENT_VARIABLE, '')
    repository = Path(__file__).resolve().parents[2]
    places = (
        [Path(named)]
        if named
        else [folder / FILE_NAME for folder in (Path('assets'), repository / 'assets')]
    )
    for place in places:
        if place.is_file():
            return place
    looked = ', '.join(str(place) for place in places)
    raise ImageryMissingError(
        f'no aerial photograph at {looked}; '
        'get it by: python -m worker_pipeline.simulation.fetch_imagery assets'
    )


def load_photograph(given: str = '') -> Orthophoto:
    """The photograph as an :class:`Orthophoto`; raises :class:`ImageryMissingError`."""
    path = find_photograph(given)
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ImageryMissingError(f'{path} is not an image that OpenCV can read')
    return Orthophoto(np.asarray(pixels, dtype=np.uint8), METRES_PER_PIXEL)


def synthetic_ground(size: float = 250.0, seed: int = 1) -> Orthophoto:
    """Ground that needs no file: ``size`` metres square of seeded, soft, greenish patches."""
    scale = 0.25
    cells = round(size / scale)
    random = np.random.default_rng(seed)
    ground = np.full((cells, cells, 3), [70.0, 120.0, 100.0])
    for patch in (4, 16, 64):
        # Mostly lighter and darker, and a little of another colour, as real ground is.
        coarse_cells = max(2, cells // patch)
        coarse = random.normal(0, 14, (coarse_cells, coarse_cells, 1))
        coarse = coarse + random.normal(0, 3, (coarse_cells, coarse_cells, 3))
        ground += cv2.resize(coarse, (cells, cells), interpolation=cv2.INTER_CUBIC)
    return Orthophoto(np.clip(ground, 0, 255).astype(np.uint8), scale)
