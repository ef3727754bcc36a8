# SPDX-License-Identifier: Apache-2.0
"""Detectors of targets in an image, by the names in :data:`DETECTORS`.

To add one, write a module beside these with a :class:`Detector` and its ``PARAMETERS``, and add a
line for each below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker_pipeline.airside.detectors import aruco, brightspot, contour, onnx
from worker_pipeline.airside.detectors.detector import Detector
from worker_pipeline.parameter import Parameter

DETECTORS: Mapping[str, Callable[[Mapping[str, Any]], Detector]] = {
    'aruco': aruco.ArucoDetector,
    'contour': contour.ContourDetector,
    'brightspot': brightspot.BrightspotDetector,
    'onnx': onnx.OnnxDetector,
}
PARAMETERS: Mapping[str, Parameter] = {
    **aruco.PARAMETERS,
    **contour.PARAMETERS,
    **brightspot.PARAMETERS,
    **onnx.PARAMETERS,
}

__all__ = ['DETECTORS', 'PARAMETERS', 'Detector']
