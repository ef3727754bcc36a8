# SPDX-License-Identifier: Apache-2.0
"""Masks of segmentation models: where the object is, within its box."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2

Floats = npt.NDArray[np.float64]

_MARGIN = 2  # prototype pixels beyond a box, so that its edge is interpolated as in the whole


def mask_points(
    prototypes: Any, coefficients: Floats, boxes: Floats, input_size: tuple[int, int]
) -> Floats:
    """Return each mask's centroid and foot (N, 4), u v u v, pixels of the input; NaN: no mask.

    The foot is the middle of the mask's lowest row, where a standing object meets the ground.

    Args:
        prototypes: (M, h, w), the masks that are combined, at a part of the input's size.
        coefficients: (N, M), the share of each.
        boxes: (N, 4), x1 y1 x2 y2, pixels of the input. A mask ends at its box.
        input_size: Width and height of the input, pixels.
    """
    prototypes = np.asarray(prototypes, np.float32)
    points = [
        _points_of(prototypes, np.asarray(each, np.float32), box, input_size)
        for each, box in zip(coefficients, boxes, strict=True)
    ]
    return np.array(points).reshape(-1, 4)


def _points_of(
    prototypes: npt.NDArray[np.float32],
    coefficients: npt.NDArray[np.float32],
    box: Floats,
    input_size: tuple[int, int],
) -> Floats:
    extent = np.array(prototypes.shape[:0:-1])
    # An input that is no multiple of the prototypes' size would be interpolated as a whole.
    scale = np.array(input_size) // extent
    first = np.clip(np.floor(box[:2] / scale).astype(int) - _MARGIN, 0, extent)
    last = np.clip(np.ceil(box[2:] / scale).astype(int) + _MARGIN, 0, extent)
    if (last <= first).any():
        return np.full(4, np.nan)
    part = prototypes[:, first[1] : last[1], first[0] : last[0]]
    level = np.tensordot(coefficients, part, axes=1)
    size = tuple(int(side) for side in (last - first) * scale)
    full = cv2.resize(level, size, interpolation=cv2.INTER_LINEAR)
    corner = first * scale
    rows, columns = (np.arange(count) for count in full.shape)
    in_columns = (columns + corner[0] >= box[0]) & (columns + corner[0] < box[2])
    in_rows = (rows + corner[1] >= box[1]) & (rows + corner[1] < box[3])
    v, u = np.nonzero((full > 0) & in_rows[:, None] & in_columns)
    if not len(u):
        return np.full(4, np.nan)
    lowest = v.max()
    middle = [u.mean() + 0.5, v.mean() + 0.5]
    points = [*middle, u[v == lowest].mean() + 0.5, lowest + 1.0]
    return np.asarray(points + np.tile(corner, 2), np.float64)
