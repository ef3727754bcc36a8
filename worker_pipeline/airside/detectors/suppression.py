"""Non-maximum suppression: of boxes of one class that overlap, the most confident stays."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def most_confident(boxes: Floats, confidences: Floats, classes: Indices, overlap: float) -> Indices:
    """The indices of the boxes that stay, the most confident first.

    ``boxes``: (N, 4), x1 y1 x2 y2, each of some area. A confidence of 0 is none. ``overlap``: the
    greatest intersection over union of two boxes of one class that both stay.
    """
    if not len(boxes):
        return np.empty(0, np.intp)
    # Each class far from every other: what does not meet does not suppress.
    apart = boxes[:, :2] + (classes * (1.0 + np.ptp(boxes)))[:, None]
    corner_and_size = np.hstack([apart, boxes[:, 2:] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(corner_and_size.tolist(), confidences.tolist(), 0.0, overlap)
    return np.asarray(kept, np.intp).reshape(-1)
