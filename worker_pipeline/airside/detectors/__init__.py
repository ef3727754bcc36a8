"""Ways to find targets in an image. Each is a class with ``detect``; :data:`DETECTORS` names them.

To add one: a module beside these with such a class and its ``PARAMETERS``, and a line below.
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
