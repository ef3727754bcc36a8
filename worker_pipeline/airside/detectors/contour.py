# SPDX-License-Identifier: Apache-2.0
"""Detection of round pads without a marker: discs that differ in colour from the scene."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.detectors.detector import Detector
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import DETECTION, NO_LABEL, UPRIGHT
from worker_pipeline.parameter import Parameter

PARAMETERS: Mapping[str, Parameter] = {
    'contour_contrast': Parameter(
        60.0, "distance of a pad's colour from the scene's", 'grey level', 1.0, 360.0
    ),
    'contour_circularity': Parameter(
        0.8, '4 pi area / perimeter^2: 1 for a circle, 0.785 for a square', '', 0.0, 1.0
    ),
    'contour_min_diameter': Parameter(16.0, 'smallest diameter of a pad', 'pixel', minimum=4.0),
    'contour_max_diameter': Parameter(700.0, 'largest diameter of a pad', 'pixel', minimum=4.0),
}

# Search at half size: the centre of a disc is the mean of so many edge pixels that it stays
# accurate to a fraction of a pixel, in a third of the time.
_SCALE = 0.5
# Rows: red against green, and blue against yellow. Both ignore brightness, so neither the shadow of
# a cloud nor a white rock stands out.
_OPPONENT_FROM_BGR = np.array([[0.0, -1.0, 1.0], [1.0, -0.5, -0.5]], dtype=np.float32)

# In a colourful scene the contrast must exceed the scene's own spread. Median and spread are
# estimated from every n-th pixel: they still describe the scene when pads fill a third of the view.
_DEVIATIONS = 3.0
_SAMPLE_STEP = 6
_DEVIATIONS_FROM_MEDIAN = 1.2  # of a normal distribution in two dimensions
# Outlines are taken at these multiples of the contrast: at the first a pad may merge with colourful
# ground beside it; at the second it is separate.
_LEVELS = (1.0, 2.0)
# A pad has a sharp edge: between these shares of its radius, just outside, the colour must differ
# by this share of the contrast. A gradual change is ground.
_OUTSIDE = (1.15, 1.45)
_MIN_EDGE_CONTRAST = 0.75
# Pixels along a radius that are enough for this.
_ENOUGH_PIXELS = 20


class ContourDetector(Detector):
    """Finds round outlines of the right size that differ in colour from the scene."""

    needs_colour = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._contrast = float(params['contour_contrast'])
        self._circularity = float(params['contour_circularity'])
        self._min = float(params['contour_min_diameter'])
        self._max = float(params['contour_max_diameter'])
        if self._max < self._min:
            raise ValueError(
                f'contour_max_diameter: found {self._max:g};'
                f' allowed: contour_min_diameter ({self._min:g}) or more'
            )

    def detect(self, pixels: Pixels) -> Records:
        """Return the discs in an image, one record each; the confidence is the circularity."""
        small = cv2.resize(pixels, None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_AREA)
        distance, enough = self._distance(small)
        found: list[tuple[float, ...]] = []
        for level in _LEVELS:
            mask = (distance > level * enough).view(np.uint8)
            outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            for outline in outlines:
                disc = self._as_disc(outline)
                if (
                    disc is not None
                    and not any(_is_within(disc, other) for other in found)
                    and _edge_contrast(distance, outline) >= _MIN_EDGE_CONTRAST * enough
                ):
                    found.append(disc)
        return np.array(found, dtype=DETECTION)

    def _distance(self, pixels: Any) -> tuple[Any, float]:
        """Return each pixel's colour distance from the scene (H, W), and its threshold."""
        opponent = cv2.transform(pixels.astype(np.float32), _OPPONENT_FROM_BGR)
        scene = np.median(opponent[::_SAMPLE_STEP, ::_SAMPLE_STEP].reshape(-1, 2), axis=0)
        first, second = cv2.split(opponent)
        distance = cv2.magnitude(first - scene[0], second - scene[1])
        spread = _DEVIATIONS_FROM_MEDIAN * float(
            np.median(distance[::_SAMPLE_STEP, ::_SAMPLE_STEP])
        )
        return distance, max(self._contrast, _DEVIATIONS * spread)

    def _as_disc(self, outline: Any) -> tuple[float, ...] | None:
        # A contour runs through the centres of the edge pixels, half a pixel inside the disc.
        diameter = (math.sqrt(4 * cv2.contourArea(outline) / math.pi) + 1) / _SCALE
        if not self._min <= diameter <= self._max:
            return None
        # The pixel staircase of a small disc lengthens its perimeter; the convex hull avoids that,
        # and the filled share of the hull distinguishes a disc from a ragged blob.
        hull = cv2.convexHull(outline)
        area, perimeter = cv2.contourArea(outline), cv2.arcLength(hull, closed=True)
        circularity = min(1.0, 4 * math.pi * area / perimeter**2)
        if circularity < self._circularity:
            return None
        moments = cv2.moments(outline)
        left, top, width, height = cv2.boundingRect(outline)
        corners = [left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5]
        centre = [moments['m10'] / moments['m00'], moments['m01'] / moments['m00']]
        full = [(value + 0.5) / _SCALE - 0.5 for value in corners + centre]
        return (*full, NO_LABEL, circularity, *UPRIGHT)


def _is_within(disc: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Return whether the centre of a disc is in the box of another."""
    x1, y1, x2, y2 = other[:4]
    return x1 <= disc[4] <= x2 and y1 <= disc[5] <= y2


def _edge_contrast(distance: Any, outline: Any) -> float:
    """Return how much the distance from the scene's colour drops just outside an outline."""
    (u, v), radius = cv2.minEnclosingCircle(outline)
    near, far = (share * (radius + 1) for share in _OUTSIDE)
    left, top = max(0, math.floor(u - far)), max(0, math.floor(v - far))
    every = max(1, int(far / _ENOUGH_PIXELS))
    part = distance[top : math.ceil(v + far) + 1 : every, left : math.ceil(u + far) + 1 : every]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    away = np.hypot(every * columns + left - u, every * rows + top - v)
    around = part[(away >= near) & (away <= far)]
    within = part[away <= radius]
    return float(np.median(within) - np.median(around)) if around.size else 0.0
