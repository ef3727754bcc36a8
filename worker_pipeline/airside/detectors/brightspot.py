# SPDX-License-Identifier: Apache-2.0
"""Detection of infrared emitters: compact, round spots much brighter than a dark scene.

Their size is given in metres, with the flight heights: the size in pixels follows from these and
the focal length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.detectors.detector import Detector
from worker_pipeline.airside.geometry.pinhole import INTRINSICS
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import DETECTION, NO_LABEL, UPRIGHT
from worker_pipeline.parameter import Parameter

PARAMETERS: Mapping[str, Parameter] = {
    'brightspot_contrast': Parameter(
        50.0, "brightness of a spot above the scene's median", 'grey level', 1.0, 255.0
    ),
    'brightspot_size': Parameter(
        [0.1, 0.8], 'smallest and largest diameter of an emitter at half its brightness', 'm', 0.0
    ),
    'brightspot_height': Parameter(
        [8.0, 80.0], 'smallest and largest height of the camera above the ground', 'm', 0.1
    ),
    'brightspot_roundness': Parameter(
        0.85, 'filled share of the ellipse around a spot, times its flattening', '', 0.0, 1.0
    ),
    'focal_length': INTRINSICS['focal_length'],
}

# Noise and ground texture stay below this many deviations above the median, both estimated from
# every n-th pixel.
_DEVIATIONS = 6.0
_SAMPLE_STEP = 4
# Smallest diameter (pixels) of a spot at half its brightness, from the blur of the lens; a single
# bright pixel is a sensor defect.
_MIN_DIAMETER = 3.0
# A saturated spot is wider at half the sensor's range than at half its own brightness.
_SATURATED = 250
_SATURATION_FACTOR = 2.0
# In a ring between these shares of its radius, a spot's surroundings must be dark, below this share
# of its brightness: otherwise it is part of something larger.
_RING = (2.0, 2.6)
_MAX_RING_BRIGHTNESS = 0.4
# Pixels across that are enough to measure a spot's shape.
_ENOUGH_PIXELS = 24
# More spots than this mean that the scene is not dark.
_MAX_SPOTS = 400


class BrightspotDetector(Detector):
    """Finds bright, compact, round blobs in a dark image."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        size, height = (_range(params, f'brightspot_{name}') for name in ('size', 'height'))
        focal_length = max(_pair(params, 'focal_length'))
        self._contrast = float(params['brightspot_contrast'])
        self._roundness = float(params['brightspot_roundness'])
        self._min = max(_MIN_DIAMETER, size[0] * focal_length / height[1])
        self._max = _MIN_DIAMETER + size[1] * focal_length / height[0]
        self.status_values = {'brightspot_diameter': f'{self._min:.3g} to {self._max:.3g} pixel'}

    def detect(self, pixels: Pixels) -> Records:
        """Return the spots in an image, one record each; the confidence is the roundness."""
        # Less blur than the lens has: removes spots of one or two noisy pixels.
        grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), (3, 3), 0)
        threshold = self._threshold(grey)
        if threshold >= 255:
            return np.empty(0, DETECTION)
        mask = cv2.threshold(grey, threshold, 255, cv2.THRESH_BINARY)[1]
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if len(outlines) > _MAX_SPOTS:
            return np.empty(0, DETECTION)
        found = [self._as_spot(grey, cv2.boundingRect(each), threshold) for each in outlines]
        return np.array([spot for spot in found if spot is not None], dtype=DETECTION)

    def _threshold(self, grey: Any) -> float:
        """Return the grey level that nothing of the scene itself exceeds."""
        some = np.ascontiguousarray(grey[::_SAMPLE_STEP, ::_SAMPLE_STEP])
        shares = np.cumsum(cv2.calcHist([some], [0], None, [256], [0, 256]).ravel()) / some.size
        median, above = (int(np.searchsorted(shares, share)) for share in (0.5, 0.8413))
        return median + max(self._contrast, _DEVIATIONS * (above - median))

    def _as_spot(self, grey: Any, box: Any, threshold: float) -> tuple[float, ...] | None:
        left, top, width, height = box
        longer = max(width, height)
        if not _MIN_DIAMETER <= longer <= 2 * _SATURATION_FACTOR * self._max:
            return None
        # Include surroundings as wide as the spot on each side. A large spot is subsampled.
        u, v, step = max(0, left - longer), max(0, top - longer), max(1, longer // _ENOUGH_PIXELS)
        part = grey[v : top + height + longer : step, u : left + width + longer : step]
        peak = float(grey[top : top + height, left : left + width].max())
        ground = float(np.median(part))
        # The width at half brightness does not depend on brightness. Pixels below the threshold
        # belong to the scene.
        wide = part > max(threshold, (peak + ground) / 2)
        if not wide.any():  # its surroundings are as bright, or it is a line between the samples
            return None
        blob = _largest_blob(wide)
        moments = cv2.moments(blob, binaryImage=True)
        radius = math.sqrt(moments['m00'] / math.pi)
        most = self._max * (_SATURATION_FACTOR if peak >= _SATURATED else 1.0)
        roundness = _roundness(moments)
        if not self._min <= 2 * step * radius <= most or roundness < self._roundness:
            return None
        middle = moments['m10'] / moments['m00'], moments['m01'] / moments['m00']
        if _ring_brightness(part, middle, radius) - ground > _MAX_RING_BRIGHTNESS * (peak - ground):
            return None
        x, y, blob_width, blob_height = cv2.boundingRect(blob)
        light = cv2.moments(np.where(blob, part - ground, 0).astype(np.float32))
        box_and_middle = np.array(
            [
                [x - 0.5, y - 0.5],
                [x + blob_width - 0.5, y + blob_height - 0.5],
                [light['m10'] / light['m00'], light['m01'] / light['m00']],
            ]
        )
        return (*(box_and_middle * step + [u, v]).ravel(), NO_LABEL, roundness, *UPRIGHT)


def _largest_blob(mask: Any) -> Any:
    """Return the largest connected part of a non-empty mask (H, W)."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    return (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).view(np.uint8)


def _roundness(moments: Mapping[str, float]) -> float:
    """Return the filled share of the ellipse with these moments, times its flattening; disc: 1."""
    area = moments['m00']
    # A pixel has an extent of its own, with a variance of a twelfth.
    mean = (moments['mu20'] + moments['mu02']) / (2 * area) + 1 / 12
    apart = math.hypot((moments['mu20'] - moments['mu02']) / 2, moments['mu11']) / area
    least, most = mean - apart, mean + apart
    filled = area / (4 * math.pi * math.sqrt(least * most))
    return float(min(1.0, filled) * math.sqrt(least / most))


def _ring_brightness(part: Any, middle: tuple[float, float], radius: float) -> float:
    """Return the median brightness around a spot."""
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    away = np.hypot(columns - middle[0], rows - middle[1])
    near, far = (share * radius for share in _RING)
    ring = part[(away >= near) & (away <= far)]
    return float(np.median(ring)) if ring.size else 0.0


def _pair(params: Mapping[str, Any], name: str) -> tuple[float, float]:
    values = [float(each) for each in params[name]]
    if len(values) != 2 or not all(map(math.isfinite, values)):
        raise ValueError(f'{name}: found {values}; allowed: two finite numbers')
    return values[0], values[1]


def _range(params: Mapping[str, Any], name: str) -> tuple[float, float]:
    least, greatest = _pair(params, name)
    if least > greatest:
        raise ValueError(f'{name}: found {[least, greatest]}; allowed: the smallest first')
    return least, greatest
