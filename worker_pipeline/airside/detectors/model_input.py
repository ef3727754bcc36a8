# SPDX-License-Identifier: Apache-2.0
"""What the families of models expect in their input: place, order and range of the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.detectors.letterbox import Placing
from worker_pipeline.airside.detectors.output_layout import (
    DETR_LIKE,
    DETR_SIGMOID,
    RTDETR,
    RTDETR_SCORES,
    YOLOX,
    YOLOX_DECODED,
)
from worker_pipeline.airside.messages.image import Pixels

# onnxruntime's names of the types that an input may have.
TYPES: dict[str, type[np.generic]] = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(uint8)': np.uint8,
}
# Mean and standard deviation of ImageNet's pixels, R G B, of 1.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def placing_of(layout: str) -> Placing:
    """Return how the models of a layout receive an image."""
    if layout in (YOLOX, YOLOX_DECODED):
        return Placing.TOP_LEFT
    return Placing.STRETCHED if layout in (RTDETR, RTDETR_SCORES, *DETR_LIKE) else Placing.CENTRED


def tensor_of(frames: Sequence[Pixels], layout: str, kind: type[np.generic]) -> npt.NDArray[Any]:
    """Return a tensor (N, 3, H, W) from inputs (H, W, 3) of one size, BGR.

    YOLOX receives B G R from 0 to 255, others R G B from 0 to 1, of which DETR and RF-DETR receive
    the deviations from ImageNet's mean. Inputs of bytes receive R G B as they are.
    """
    if kind == np.uint8:
        return np.ascontiguousarray(np.stack(frames)[..., ::-1].transpose(0, 3, 1, 2))
    raw = layout in (YOLOX, YOLOX_DECODED)
    blob = np.asarray(cv2.dnn.blobFromImages(list(frames), swapRB=not raw), np.float32)
    if not raw:
        # As the exporters do: a product with 1/255 rounds otherwise, which half models amplify.
        blob /= np.float32(255)
    if layout in DETR_LIKE and layout != DETR_SIGMOID:
        blob = (blob - _MEAN[:, None, None]) / _DEVIATION[:, None, None]
    return np.asarray(blob, kind)
