# SPDX-License-Identifier: Apache-2.0
"""Oriented boxes: their outlines and their suppression.

Two boxes are compared as Gaussian distributions: Murrugarra-Llerena et al., "Gaussian Bounding
Boxes and Probabilistic Intersection-over-Union for Object Detection" (2021).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_LITTLE = 1e-7
_AT_ONCE = 256  # boxes compared with all before them: bounds the memory


def outlines(boxes: Floats, angles: Floats) -> Floats:
    """Return the corners (N, 4, 2) of boxes (N, 4), x1 y1 x2 y2, turned by angles (N,), rad."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2
    along = np.column_stack([np.cos(angles), np.sin(angles)]) * halves[:, :1]
    across = np.column_stack([-np.sin(angles), np.cos(angles)]) * halves[:, 1:]
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return np.stack([middles + x * along + y * across for x, y in signs], axis=1)


def bounds(corners: Floats) -> Floats:
    """Return the upright boxes (N, 4), x1 y1 x2 y2, around corners (N, 4, 2)."""
    return np.hstack([corners.min(axis=1), corners.max(axis=1)])


def suppress_oriented(
    boxes: Floats, angles: Floats, confidences: Floats, classes: Floats, overlap: float
) -> npt.NDArray[np.intp]:
    """Return the indices of the boxes that stay, the most confident first.

    A box goes if any more confident box of its class overlaps it, even one that goes itself: so
    does Ultralytics' exporter, whose results are the reference.
    """
    order = np.argsort(-confidences, kind='stable')
    if not len(order):
        return order
    boxes, angles, classes = boxes[order], angles[order], classes[order]
    gone = np.zeros(len(order), bool)
    for first in range(0, len(order), _AT_ONCE):
        last = first + _AT_ONCE
        similar = _similarity(boxes[:last], angles[:last], first)
        same = classes[:last, None] == classes[None, first:last]
        gone[first:last] = np.triu((similar >= overlap) & same, k=1 - first).any(axis=0)
    return np.asarray(order[~gone])


def _similarity(boxes: Floats, angles: Floats, first: int) -> Floats:
    """Return 1 less the Hellinger distance of boxes (N) and those from the first (N, N - first)."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    along, across = ((boxes[:, 2:] - boxes[:, :2]) ** 2 / 12).T  # variances of a uniform box
    cosine, sine = np.cos(angles), np.sin(angles)
    xx = along * cosine**2 + across * sine**2
    yy = along * sine**2 + across * cosine**2
    xy = (along - across) * cosine * sine
    sum_xx, sum_yy, sum_xy = (each[:, None] + each[None, first:] for each in (xx, yy, xy))
    dx, dy = (each[:, None] - each[None, first:] for each in middles.T)
    determinant = sum_xx * sum_yy - sum_xy**2
    square = sum_yy * dx**2 + sum_xx * dy**2 - 2 * sum_xy * dx * dy
    own = np.maximum(along * across, 0.0)
    spread = 4 * np.sqrt(own[:, None] * own[None, first:]) + _LITTLE
    apart = square / (determinant + _LITTLE) / 4
    apart += np.log(determinant / spread + _LITTLE) / 2
    return np.asarray(1 - np.sqrt(1 - np.exp(-np.clip(apart, _LITTLE, 100)) + _LITTLE))
