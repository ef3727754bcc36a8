"""Finds infrared emitters: compact, round spots that are much brighter than a dark scene.

How large they may be is told in metres, with the heights flown at: a spot's size in pixels follows
from these, whatever the camera.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from worker_pipeline.airside.detectors.detector import Detector
from worker_pipeline.airside.image import Pixels
from worker_pipeline.airside.pinhole import INTRINSICS
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.records import DETECTION, NO_LABEL
from worker_pipeline.parameter import Parameter

PARAMETERS: Mapping[str, Parameter] = {
    'brightspot_contrast': Parameter(
        50.0, "how much brighter than the scene's median a spot is", 'grey level', 1.0, 255.0
    ),
    'brightspot_size': Parameter(
        [0.1, 0.8], 'of an emitter at half its brightness: the least, the greatest', 'm', 0.0
    ),
    'brightspot_height': Parameter(
        [8.0, 80.0], 'of the camera above the ground: the least, the greatest', 'm', 0.1
    ),
    'brightspot_roundness': Parameter(
        0.85, 'how much of the ellipse about it a spot fills, times its flattening', '', 0.0, 1.0
    ),
    'focal_length': INTRINSICS['focal_length'],
}

# Noise, and the texture of the ground: so many deviations above the median is neither. They are
# those of every so many-th pixel.
_DEVIATIONS = 6.0
_EVERY = 4
# The lens spreads a spot to about so much (pixels) at half its brightness, however small it is; a
# single bright pixel is a fault of the sensor.
_LEAST_DIAMETER = 3.0
# A saturated spot is wider at half of what the sensor can tell than at half its own brightness.
_SATURATED = 250
_BLOOM = 2.0
# What surrounds a spot, between these shares of its radius, is dark again, down to this share of
# its brightness: else it is a part of something larger.
_AROUND = (2.0, 2.6)
_LARGEST_REMNANT = 0.4
# Pixels across that tell a spot's shape.
_ENOUGH = 24
# No scene that is dark has more of them.
_MOST_SPOTS = 400


class BrightspotDetector(Detector):
    """Bright, compact, round blobs in a dark image; a dark image without any gives none."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        size, height = (_range(params, f'brightspot_{name}') for name in ('size', 'height'))
        focal_length = max(_two(params, 'focal_length'))
        self._contrast = float(params['brightspot_contrast'])
        self._roundness = float(params['brightspot_roundness'])
        self._min = max(_LEAST_DIAMETER, size[0] * focal_length / height[1])
        self._max = _LEAST_DIAMETER + size[1] * focal_length / height[0]
        self.facts = {'brightspot_diameter': f'{self._min:.3g} to {self._max:.3g} pixel'}

    def detect(self, pixels: Pixels) -> Records:
        """The spots in an image, one record each; confidence is the roundness."""
        # Smoothed by less than the lens does: two noisy pixels side by side are no spot.
        grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), (3, 3), 0)
        threshold = self._threshold(grey)
        if threshold >= 255:
            return np.empty(0, DETECTION)
        mask = cv2.threshold(grey, threshold, 255, cv2.THRESH_BINARY)[1]
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if len(outlines) > _MOST_SPOTS:
            return np.empty(0, DETECTION)
        found = [self._as_spot(grey, cv2.boundingRect(each), threshold) for each in outlines]
        return np.array([spot for spot in found if spot is not None], dtype=DETECTION)

    def _threshold(self, grey: Any) -> float:
        """The grey level above which nothing of the scene itself is."""
        some = np.ascontiguousarray(grey[::_EVERY, ::_EVERY])
        shares = np.cumsum(cv2.calcHist([some], [0], None, [256], [0, 256]).ravel()) / some.size
        median, above = (int(np.searchsorted(shares, share)) for share in (0.5, 0.8413))
        return median + max(self._contrast, _DEVIATIONS * (above - median))

    def _as_spot(self, grey: Any, box: Any, threshold: float) -> tuple[float, ...] | None:
        left, top, width, height = box
        longer = max(width, height)
        if not _LEAST_DIAMETER <= longer <= 2 * _BLOOM * self._max:
            return None
        # With what is around it, as wide again on each side. A large one needs not every pixel.
        u, v, step = max(0, left - longer), max(0, top - longer), max(1, longer // _ENOUGH)
        part = grey[v : top + height + longer : step, u : left + width + longer : step]
        peak = float(grey[top : top + height, left : left + width].max())
        ground = float(np.median(part))
        # At half its brightness a spot is as wide however bright it is. Less than what stands out
        # of the scene is none of it.
        blob = _largest_blob(part > max(threshold, (peak + ground) / 2))
        moments = cv2.moments(blob, binaryImage=True)
        radius = math.sqrt(moments['m00'] / math.pi)
        most = self._max * (_BLOOM if peak >= _SATURATED else 1.0)
        roundness = _roundness(moments)
        if not self._min <= 2 * step * radius <= most or roundness < self._roundness:
            return None
        middle = moments['m10'] / moments['m00'], moments['m01'] / moments['m00']
        if _around(part, middle, radius) - ground > _LARGEST_REMNANT * (peak - ground):
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
        return (*(box_and_middle * step + [u, v]).ravel(), NO_LABEL, roundness)


def _largest_blob(mask: Any) -> Any:
    """The largest connected part of a mask (H, W), which has one."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    return (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).view(np.uint8)


def _roundness(moments: Mapping[str, float]) -> float:
    """How much of the ellipse with these moments is filled, times its flattening: 1 for a disc."""
    area = moments['m00']
    # A pixel is no point: it has itself a spread of a twelfth.
    mean = (moments['mu20'] + moments['mu02']) / (2 * area) + 1 / 12
    apart = math.hypot((moments['mu20'] - moments['mu02']) / 2, moments['mu11']) / area
    least, most = mean - apart, mean + apart
    filled = area / (4 * math.pi * math.sqrt(least * most))
    return float(min(1.0, filled) * math.sqrt(least / most))


def _around(part: Any, middle: tuple[float, float], radius: float) -> float:
    """How bright it is around a spot."""
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    away = np.hypot(columns - middle[0], rows - middle[1])
    near, far = (share * radius for share in _AROUND)
    ring = part[(away >= near) & (away <= far)]
    return float(np.median(ring)) if ring.size else 0.0


def _two(params: Mapping[str, Any], name: str) -> tuple[float, float]:
    values = [float(each) for each in params[name]]
    if len(values) != 2 or not all(map(math.isfinite, values)):
        raise ValueError(f'{name}: found {values}; allowed: two finite numbers')
    return values[0], values[1]


def _range(params: Mapping[str, Any], name: str) -> tuple[float, float]:
    least, greatest = _two(params, name)
    if least > greatest:
        raise ValueError(f'{name}: found {[least, greatest]}; allowed: the least one first')
    return least, greatest
