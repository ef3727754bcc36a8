# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression: of overlapping boxes of one class, the most confident stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Numbers = npt.NDArray[np.float64] | npt.NDArray[np.intp]


def suppress_overlaps(
    boxes: Floats, confidences: Floats, classes: Numbers, overlap: float
) -> Indices:
    """Return the indices of the boxes that stay, the most confident first.

    Args:
        boxes: (N, 4), x1 y1 x2 y2, each with an area above 0.
        confidences: (N,), above 0.
        classes: (N,).
        overlap: Greatest intersection over union of two boxes of one class that both stay.
    """
    if not len(boxes):
        return np.empty(0, np.intp)
    # Shift each class far from the others: boxes that do not overlap do not suppress each other.
    apart = boxes[:, :2] + (classes * (1.0 + np.ptp(boxes)))[:, None]
    corner_and_size = np.hstack([apart, boxes[:, 2:] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(corner_and_size.tolist(), confidences.tolist(), 0.0, overlap)
    return np.asarray(kept, np.intp).reshape(-1)
