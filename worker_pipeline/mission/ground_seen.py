"""The ground that a camera has seen, on the photograph of it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from worker_pipeline.airside.geometry import Vector
from worker_pipeline.mission.canvas import Pixels

# Of the ground that was not seen so much is left.
_BRIGHTNESS, _COLOUR = 0.66, 0.45
_PART = 4  # bits of a pixel's fraction


def seen(footprints: Vector, rows: int, columns: int) -> Pixels:
    """A mask (rows, columns) of what the footprints (N, 4, 2), pixels, cover: 255, else 0."""
    mask = np.zeros((rows, columns), np.uint8)
    for corners in np.rint(np.asarray(footprints) * 2**_PART).astype(np.int32):
        cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_8, _PART)
    return mask


def outlines(mask: Pixels) -> Sequence[Vector]:
    """The edges (N, 2), pixels, of what a mask covers, holes too."""
    edges, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [edge[:, 0, :].astype(float) for edge in edges]


def dimmed(pixels: Pixels, mask: Pixels) -> Pixels:
    """An image (H, W, 3), BGR, darker and greyer where the mask is 0."""
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    colour = _BRIGHTNESS * _COLOUR
    dim = cv2.addWeighted(pixels, colour, grey, _BRIGHTNESS - colour, 0)
    return np.where(mask[:, :, None] > 0, pixels, dim)
