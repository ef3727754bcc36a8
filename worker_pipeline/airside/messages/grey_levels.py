# SPDX-License-Identifier: Apache-2.0
"""Grey levels from values of more than 8 bits: thermal images, depth, sensors of 10 to 16 bits.

A camera with 12 bits publishes them in words of 16. Divided by 256, they would end at level 15.
"""

from __future__ import annotations

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
# Of floats, so many values are enough to know their range.
_SAMPLE = 1 << 18
_WORD_VALUES = 1 << 16


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
    if limits.is_full and values.dtype == np.uint16:
        return _shifted(values, dtype, int(limits.high))
    span = limits.high - limits.low
    scale = top / span if span > 0 else 0.0
    if values.dtype == np.uint16 and dtype == np.uint8:
        levels = cv2.addWeighted(values, scale, values, 0.0, -limits.low * scale, dtype=cv2.CV_8U)
        return np.asarray(levels).reshape(values.shape)
    exact = np.float64 if values.dtype.itemsize > 2 and values.dtype.kind != 'f' else np.float32
    with np.errstate(invalid='ignore', over='ignore'):
        spread = (values.astype(exact) - exact(limits.low)) * exact(scale)
    np.nan_to_num(spread, copy=False, nan=0.0, posinf=top, neginf=0.0)
    return np.asarray(np.rint(np.clip(spread, 0.0, top)).astype(dtype))


def _shifted(values: Array, dtype: Any, full: int) -> Array:
    """Return values of a sensor's whole scale: exactly their upper bits."""
    bits, wanted = full.bit_length(), 8 * np.dtype(dtype).itemsize
    inside = values if full == FULL_SCALES[-1] else np.minimum(values, full)
    if bits >= wanted:
        inside = inside >> (bits - wanted)
    else:
        inside = inside.astype(np.uint32) * np.iinfo(dtype).max // full
    return np.asarray(inside.astype(dtype))


def _extremes(values: Array) -> tuple[float, float]:
    """Return the least and the largest value, without outliers."""
    if values.dtype == np.uint16:
        flat = np.ascontiguousarray(values).reshape(1, -1)
        counts = cv2.calcHist([flat], [0], None, [_WORD_VALUES], [0, _WORD_VALUES]).ravel()
        below = np.cumsum(counts, dtype=np.float64)
        outliers = values.size // _OUTLIER_SHARE
        low = int(np.searchsorted(below, outliers, side='right'))
        high = int(np.searchsorted(below, values.size - outliers, side='left'))
        return float(low), float(high)
    sample = values.reshape(-1)[:: max(1, values.size // _SAMPLE)]
    if values.dtype.kind == 'f':
        sample = sample[np.isfinite(sample)]
    if not sample.size:
        finite = values[np.isfinite(values)]
        if not finite.size:
            raise UnreadableImageError(
                'no number', 'image: found no value that is a number; allowed: at least one'
            )
        sample = finite
    outliers = sample.size // _OUTLIER_SHARE
    ordered = np.partition(sample, [outliers, sample.size - 1 - outliers])
    return float(ordered[outliers]), float(ordered[sample.size - 1 - outliers])
