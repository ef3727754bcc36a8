"""Finds round pads that carry no marker: discs whose colour stands out of the scene."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from worker_pipeline.airside.image import Pixels
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.records import DETECTION, NO_LABEL
from worker_pipeline.parameter import Parameter

PARAMETERS: Mapping[str, Parameter] = {
    'contour_contrast': Parameter(
        60.0, "distance of a pad's colour from the mean colour", 'grey level', 1.0, 360.0
    ),
    'contour_circularity': Parameter(
        0.8, '4 pi area / perimeter^2: 1 for a circle, 0.785 for a square', '', 0.0, 1.0
    ),
    'contour_min_diameter': Parameter(16.0, 'of a pad', 'pixel', minimum=4.0),
    'contour_max_diameter': Parameter(400.0, 'of a pad', 'pixel', minimum=4.0),
}

# Looked for at half the size: a disc's centre is the mean of so many edge pixels that it stays
# good to a fraction of one, and it takes a third of the time.
_SCALE = 0.5
# Rows: red against green, and blue against yellow. Brightness is in neither, so that neither a
# cloud's shadow nor a white rock stands out.
_OPPONENT_FROM_BGR = np.array([[0.0, -1.0, 1.0], [1.0, -0.5, -0.5]], dtype=np.float32)

_DEVIATIONS = 3.0


class ContourDetector:
    """Closed outlines, round and of the right size, of what differs in colour from the scene."""

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
        """The discs in an image, one record each; confidence is the circularity."""
        small = cv2.resize(pixels, None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_AREA)
        outlines, _ = cv2.findContours(
            self._stands_out(small), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        found = [disc for disc in map(self._as_disc, outlines) if disc is not None]
        return np.array(found, dtype=DETECTION)

    def _stands_out(self, pixels: Any) -> Any:
        """A mask (H, W) of the pixels whose colour is far from the mean colour."""
        opponent = cv2.transform(pixels.astype(np.float32), _OPPONENT_FROM_BGR)
        first, second = cv2.split(opponent)
        mean, deviation = cv2.meanStdDev(opponent)
        distance = cv2.magnitude(first - mean[0, 0], second - mean[1, 0])
        # In a motley scene only what is out of its own range stands out.
        enough = max(self._contrast, _DEVIATIONS * float(np.linalg.norm(deviation)))
        return (np.asarray(distance) > enough).view(np.uint8)

    def _as_disc(self, outline: Any) -> tuple[float, ...] | None:
        # A contour runs through the middles of the edge pixels, half a pixel inside of the disc.
        diameter = (math.sqrt(4 * cv2.contourArea(outline) / math.pi) + 1) / _SCALE
        if not self._min <= diameter <= self._max:
            return None
        # The smaller the disc, the more its staircase of pixels looks like a longer edge; the hull
        # is without it, and how much of the hull is filled tells a ragged blob from a disc.
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
        return (*full, NO_LABEL, circularity)
