# SPDX-License-Identifier: Apache-2.0
"""The image of infrared emitters on dark ground, as at night.

An emitter is a spot with a Gaussian profile. Its image is that spot under perspective, blurred by
the lens: below the resolution of the lens it keeps its size and gets fainter; above the range of
the sensor it is saturated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.geometry.pinhole import CameraPose, PinholeCamera
from worker_pipeline.airside.simulation.imagery import Orthophoto
from worker_pipeline.airside.simulation.renderer import Renderer

Pixels = npt.NDArray[np.uint8]

# From a Gaussian's full width at half maximum to its standard deviation.
_DEVIATION = 1 / (2 * math.sqrt(2 * math.log(2)))
# Beyond this many standard deviations even a spot ten times over saturation is invisible.
_REACH = 4.5


@attrs.frozen
class Emitter:
    """An infrared emitter on the ground.

    ``east``, ``north``: m, its centre. ``size``: m, width at half its brightness. ``power``: grey
    level at its centre without blur; more than 255 is saturated.
    """

    east: float
    north: float
    size: float = 0.3
    power: float = 400.0


class InfraredRenderer:
    """Draws frames of emitters on dark ground, for one camera.

    Args:
        ground: The photograph of the ground.
        emitters: The emitters.
        camera: The camera.
        ambient: Brightness of the ground, as a share of its photograph.
        spread: Standard deviation of the lens's blur, pixels.
    """

    def __init__(
        self,
        ground: Orthophoto,
        emitters: Sequence[Emitter],
        camera: PinholeCamera,
        ambient: float = 0.1,
        spread: float = 1.0,
    ) -> None:
        self._ground = Renderer(ground, [], camera)
        self._emitters = list(emitters)
        self._camera = camera
        self._ambient = ambient
        self._spread = spread

    def render(self, pose: CameraPose) -> Pixels:
        """Return the frame (H, W, 3), grey, that the camera takes from ``pose``."""
        frame = self._ground.render(pose).mean(axis=2) * self._ambient
        for emitter in self._emitters:
            self._add(frame, emitter, pose)
        grey = np.rint(np.clip(frame, 0, 255)).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(grey[:, :, None], (*grey.shape, 3)))

    def _add(self, frame: npt.NDArray[np.floating], emitter: Emitter, pose: CameraPose) -> None:
        homography = pose.plane_homography(self._camera)
        place = homography @ [emitter.east, emitter.north, 1.0]
        if place[2] <= 0:
            return  # behind the camera
        middle = place[:2] / place[2]
        # The derivative of pixels by metres at that position.
        stretch = (homography[:2, :2] - np.outer(middle, homography[2, :2])) / place[2]
        own = (emitter.size * _DEVIATION) ** 2 * stretch @ stretch.T
        spread = own + self._spread**2 * np.eye(2)
        # Blur spreads the same light over a larger area.
        peak = emitter.power * math.sqrt(np.linalg.det(own) / np.linalg.det(spread))
        reach = _REACH * math.sqrt(np.linalg.eigvalsh(spread)[-1])
        low = np.maximum(0, np.floor(middle - reach)).astype(int)
        high = np.minimum(frame.shape[::-1], np.ceil(middle + reach).astype(int) + 1)
        if (low >= high).any():
            return  # out of view
        u, v = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
        offset = np.stack([u - middle[0], v - middle[1]])
        distance = np.einsum('i...,ij,j...->...', offset, np.linalg.inv(spread), offset)
        frame[low[1] : high[1], low[0] : high[0]] += peak * np.exp(-0.5 * distance)
