# SPDX-License-Identifier: Apache-2.0
"""Grey levels from values of more than 8 bits: thermal images, depth, sensors of 10 to 16 bits.

A camera with 12 bits publishes them in words of 16. Divided by 256, they would end at level 15.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.messages.encodings import UnreadableImageError

Array = npt.NDArray[Any]

# The largest values of the sensors there are.
FULL_SCALES = (255, 1023, 4095, 16383, 65535)
# One pixel in so many may lie beyond the range, on either side: defects, and the sun.
_OUTLIER_SHARE = 10_000
# An image that uses less than this part of its sensor's scale is spread over all levels.
_MIN_USE = 4
# So many values are enough to know their range: what is smaller than an outlier's share counts as
# one in any case.
_SAMPLE = 1 << 17
# Of the histogram of words. All scales end with a bin.
_BINS, _BIN = 1 << 14, 4


class ValueRange(NamedTuple):
    """The values that become black and white. ``is_full``: they are a sensor's whole scale."""

    low: float
    high: float
    is_full: bool = False


def value_range(values: Array) -> ValueRange:
    """Return the range of an image's own values.

    It is the smallest scale of 8, 10, 12, 14 or 16 bits (or 0 to 1) that holds them, so that the
    same sensor's images keep their brightness. If they use less than a quarter of it, as those of a
    thermal camera do, it is from the least to the largest, but not less than one level a count.
    """
    low, high = _extremes(values)
    is_integer = values.dtype.kind in 'iu'
    scales = FULL_SCALES if is_integer or high > 1 else (1,)
    full = next((each for each in scales if high <= each), None) if low >= 0 else None
    if full is not None and is_integer:
        full = min(full, int(np.iinfo(values.dtype).max))  # of signed words it is 15 bits
    uses_enough = full is not None and (high - low) * _MIN_USE >= full
    if full is not None and (uses_enough or (is_integer and full == FULL_SCALES[0])):
        return ValueRange(0, full, is_full=True)
    return ValueRange(low, max(high, low + FULL_SCALES[0]) if is_integer else high)


def to_levels(values: Array, dtype: Any, limits: ValueRange) -> Array:
    """Return values as levels of ``dtype``, uint8 or uint16, 0 at ``low``; NaN becomes 0."""
    top = int(np.iinfo(dtype).max)
    is_byte = dtype == np.uint8
    if limits.is_full and values.dtype == np.uint16 and is_byte:
        return _upper_bits(values, int(limits.high))
    span = limits.high - limits.low
    scale = top / span if span > 0 else 0.0
    if values.dtype == np.float32:
        inside = np.clip(values, np.float32(limits.low), np.float32(limits.high))
        cv2.patchNaNs(inside, limits.low)
        return _scaled(inside, scale, limits.low, cv2.CV_8U if is_byte else cv2.CV_16U)
    if values.dtype == np.uint16 and is_byte:
        return _scaled(values, scale, limits.low, cv2.CV_8U)
    with np.errstate(invalid='ignore', over='ignore'):
        spread = (values.astype(np.float64) - limits.low) * scale
    np.nan_to_num(spread, copy=False, nan=0.0, posinf=top, neginf=0.0)
    return np.asarray(np.rint(np.clip(spread, 0.0, top)).astype(dtype))


def _upper_bits(values: Array, full: int) -> Array:
    """Return the upper 8 bits of words with a sensor's whole scale; those beyond it are 255."""
    unused = full.bit_length() - 8
    # It rounds: this is the floor, as a fraction is 255/256 at most.
    below = 1 / 512 - 0.5 if unused else 0.0
    return np.asarray(cv2.convertScaleAbs(values, alpha=0.5**unused, beta=below))


def _scaled(values: Array, scale: float, low: float, depth: int) -> Array:
    """Return ``(values - low) * scale``, rounded, and limited to what ``depth`` holds."""
    levels = cv2.addWeighted(values, scale, values, 0.0, -low * scale, dtype=depth)
    return np.asarray(levels).reshape(values.shape)


def _extremes(values: Array) -> tuple[float, float]:
    """Return the least and the largest value, without outliers; of a part, if there are many."""
    # An odd step, as it meets all colours of a mosaic.
    every = math.isqrt(values.size // _SAMPLE) | 1
    sample = np.ascontiguousarray(values[::every, ::every]).reshape(-1)
    if values.dtype == np.uint16:
        return _extreme_words(sample)
    if values.dtype.kind == 'f':
        sample = sample[np.isfinite(sample)]
        if not sample.size:
            sample = values[np.isfinite(values)]
    if not sample.size:
        raise UnreadableImageError(
            'no number', 'image: found no value that is a number; allowed: at least one'
        )
    outliers = sample.size // _OUTLIER_SHARE
    last = sample.size - 1 - outliers
    ordered = np.partition(sample, [outliers, last])
    return float(ordered[outliers]), float(ordered[last])


def _extreme_words(sample: Array) -> tuple[float, float]:
    """Return the extremes of words, extended to the ends of their bins of the histogram."""
    counts = cv2.calcHist([sample[np.newaxis]], [0], None, [_BINS], [0, _BINS * _BIN])
    below = np.cumsum(counts, dtype=np.float64)
    outliers = sample.size // _OUTLIER_SHARE
    low = np.searchsorted(below, outliers, side='right')
    high = np.searchsorted(below, sample.size - outliers, side='left')
    return float(low * _BIN), float(high * _BIN + _BIN - 1)
