# SPDX-License-Identifier: Apache-2.0
"""Reduction of an image with a triangular filter, as wide as the reduction.

So do the image processors of DETR and its like; OpenCV's linear interpolation leaves pixels out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.messages.image import Pixels

Floats = npt.NDArray[np.float32]


def resize_smoothly(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return an image (H, W, 3) of bytes in another size (width, height)."""
    narrow = _rows_resized(pixels.transpose(1, 0, 2), size[0])
    return _rows_resized(narrow.transpose(1, 0, 2), size[1])


def _rows_resized(pixels: Pixels, count: int) -> Pixels:
    """Return an image with another number of rows, rounded to bytes."""
    weights, first = _weights(len(pixels), count)
    summed = np.zeros((count, *pixels.shape[1:]), np.float32)
    for tap, weight in enumerate(weights.T):
        rows = pixels[np.minimum(first + tap, len(pixels) - 1)]
        summed += weight[:, None, None] * rows
    return np.asarray(np.clip(summed + 0.5, 0, 255), np.uint8)


def _weights(before: int, after: int) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return each new row's weights (after, taps), and the first old row of each (after,)."""
    scale = before / after
    reach = max(scale, 1.0)
    middles = (np.arange(after) + 0.5) * scale
    first = np.maximum(np.floor(middles - reach + 0.5), 0).astype(np.intp)
    taps = int(np.ceil(2 * reach)) + 1
    rows = first[:, None] + np.arange(taps)
    weights = np.maximum(1 - np.abs(rows + 0.5 - middles[:, None]) / reach, 0)
    weights[rows >= before] = 0
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32), first
