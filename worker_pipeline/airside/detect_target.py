"""The stage that finds landing pads in an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import cv2
import numpy as np
from sensor_msgs.msg import Image, PointCloud2

from worker_pipeline.airside import image, point_cloud
from worker_pipeline.airside.detectors import DETECTORS, PARAMETERS
from worker_pipeline.parameter import Parameter, nearest
from worker_pipeline.stage import Stage


class DetectTarget(Stage):
    """Image (bgr8) to detections: a cloud of ``records.DETECTION``, in pixels of this image.

    An image without a target gives an empty cloud, so that silence and absence differ.
    """

    input_type = Image
    output_type = PointCloud2
    parameters: ClassVar[Mapping[str, Any]] = {
        'detector': Parameter(
            ['aruco', 'contour'], f'which to use, of {", ".join(DETECTORS)}; all their finds count'
        ),
        'confidence': Parameter(0.5, 'detections below it are left out', '', 0.0, 1.0),
        **PARAMETERS,
    }

    def configure(self) -> None:
        """Build the detectors. ValueError if one is unknown, or a parameter of one is wrong."""
        # One core each: the other cores belong to the other workers.
        cv2.setNumThreads(1)
        names = list(self.params['detector'])
        unknown = [name for name in names if name not in DETECTORS]
        if unknown or not names:
            hint = nearest(unknown[0], list(DETECTORS)) if unknown else 'name at least one'
            allowed = ', '.join(DETECTORS)
            raise ValueError(f'detector: found {names}; allowed: some of {allowed}; {hint}')
        self._detectors = [DETECTORS[name](self.params) for name in names]

    def process(self, item: Any) -> Any:
        """Every detector's finds in one image."""
        pixels = image.from_message(item)
        found = np.concatenate([detector.detect(pixels) for detector in self._detectors])
        confident = found[found['confidence'] >= self.params['confidence']]
        return point_cloud.to_message(confident, item.header.frame_id)
