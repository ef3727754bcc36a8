"""What a camera sees of infrared emitters on ground that is dark to it, as at night.

An emitter is a spot that falls off from its middle as a Gaussian does. Its image is that spot, seen
under perspective and spread by the lens: what is smaller than the lens can show keeps its size in
the image and gets fainter, what is brighter than the sensor can tell is saturated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.pinhole import CameraPose, PinholeCamera
from worker_pipeline.simulation.imagery import Orthophoto
from worker_pipeline.simulation.renderer import Renderer

Pixels = npt.NDArray[np.uint8]

# From a Gaussian's width at half its height to its standard deviation.
_DEVIATION = 1 / (2 * math.sqrt(2 * math.log(2)))
# Past so many standard deviations even a spot of ten times what saturates is not to be seen.
_REACH = 4.5


@attrs.frozen
class Emitter:
    """An infrared emitter on the ground.

    ``east``, ``north``: m, its middle. ``size``: m, across at half its brightness. ``power``: grey
    levels of its middle, where the lens spreads it no further; more than 255 is saturated.
    """

    east: float
    north: float
    size: float = 0.3
    power: float = 400.0


class InfraredRenderer:
    """Draws frames of emitters on dark ground, for one camera.

    ``ambient``: how bright the ground is, as a share of its photograph. ``spread``: standard
    deviation of the lens's blur, pixels.
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
        """The frame (H, W, 3), three times the same grey, that the camera takes from ``pose``."""
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
        # How pixels change with metres at that place: the homography's derivative there.
        stretch = (homography[:2, :2] - np.outer(middle, homography[2, :2])) / place[2]
        own = (emitter.size * _DEVIATION) ** 2 * stretch @ stretch.T
        spread = own + self._spread**2 * np.eye(2)
        # Spread further, it has as much light as before, and less in its middle.
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
