# SPDX-License-Identifier: Apache-2.0
"""The ground seen by the camera, marked on the photograph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.mission.canvas import Pixels

# Brightness and saturation of ground that was not seen.
_BRIGHTNESS, _COLOUR = 0.66, 0.45
_PART = 4  # fractional bits of a pixel


def coverage_mask(footprints: Vector, rows: int, columns: int) -> Pixels:
    """Return a mask (rows, columns): 255 within the footprints (N, 4, 2), pixels, else 0.

    Args:
        footprints: Corners (N, 4, 2), pixels.
        rows: Height of the mask.
        columns: Width of the mask.
    """
    mask = np.zeros((rows, columns), np.uint8)
    for corners in np.rint(np.asarray(footprints) * 2**_PART).astype(np.int32):
        cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_8, _PART)
    return mask


def outlines(mask: Pixels) -> Sequence[Vector]:
    """Return the outlines (N, 2), pixels, of a mask, including holes."""
    edges, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [edge[:, 0, :].astype(float) for edge in edges]


def dim_outside(pixels: Pixels, mask: Pixels) -> Pixels:
    """Return an image (H, W, 3), BGR, darkened and desaturated where the mask is 0."""
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    colour = _BRIGHTNESS * _COLOUR
    dim = cv2.addWeighted(pixels, colour, grey, _BRIGHTNESS - colour, 0)
    return np.where(mask[:, :, None] > 0, pixels, dim)
