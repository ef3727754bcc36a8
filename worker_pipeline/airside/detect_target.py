"""The stage that finds targets in an image: pads, emitters, what a model was trained for."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import cv2
import numpy as np
from sensor_msgs.msg import Image, PointCloud2

from worker_pipeline.airside import image, point_cloud
from worker_pipeline.airside.detectors import DETECTORS, PARAMETERS, Detector
from worker_pipeline.airside.detectors.annotation import annotated
from worker_pipeline.airside.pinhole import INTRINSICS
from worker_pipeline.airside.records import DETECTION
from worker_pipeline.parameter import Parameter, nearest
from worker_pipeline.stage import Stage


class DetectTarget(Stage):
    """Image (bgr8) to detections: a cloud of ``records.DETECTION``, in pixels of this image.

    An image without a target gives an empty cloud, so that silence and absence differ; so does one
    that is broken, which is counted as ``refused``. One of another size than the camera was
    calibrated for is searched, counted as ``of_another_size``, and warned of: what is found in it
    will be placed wrongly.
    """

    input_type = Image
    output_type = PointCloud2
    topics: ClassVar[Mapping[str, Any]] = {'annotated': Image}
    parameters: ClassVar[Mapping[str, Any]] = {
        'detector': Parameter(
            ['aruco', 'contour'], f'which to use, of {", ".join(DETECTORS)}; all their finds count'
        ),
        'confidence': Parameter(0.5, 'detections below it are left out', '', 0.0, 1.0),
        'annotated_scale': Parameter(
            0.5, 'of the picture on the topic annotated, to the image', '', 0.01, 1.0
        ),
        'width': INTRINSICS['width'],
        'height': INTRINSICS['height'],
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
        self._detectors = {name: DETECTORS[name](self.params) for name in names}
        _check_labels(self._detectors)
        self._names: dict[int, str] = {}
        for detector in self._detectors.values():
            self._names.update(detector.names)
            for key, value in detector.facts.items():
                self.status.set(key, value)

    def process(self, item: Any) -> Any:
        """Every detector's finds in one image."""
        try:
            pixels = image.from_message(item)
        except ValueError as error:
            self.status.count('refused')
            self.status.warn(f'an image is refused: {error}')
            return point_cloud.to_message(np.empty(0, DETECTION), item.header.frame_id)
        self._check_size(pixels)
        found = np.concatenate([each.detect(pixels) for each in self._detectors.values()])
        confident = found[found['confidence'] >= self.params['confidence']]
        self._show(item, pixels, confident)
        return point_cloud.to_message(confident, item.header.frame_id)

    def _check_size(self, pixels: image.Pixels) -> None:
        height, width = pixels.shape[:2]
        calibrated = self.params['width'], self.params['height']
        if (width, height) == calibrated:
            self.status.ok()
            return
        self.status.count('of_another_size')
        self.status.warn(
            f'image: found {width}x{height} pixels; calibrated: {calibrated[0]}x{calibrated[1]}'
            ' (width, height): what is found will be placed wrongly'
        )

    def _show(self, item: Any, pixels: image.Pixels, detections: point_cloud.Records) -> None:
        """Publish the image with its detections, where somebody looks."""
        topic = self.topic['annotated']
        if topic.is_heard:
            picture = annotated(pixels, detections, self._names, self.params['annotated_scale'])
            message = image.to_message(picture, item.header.frame_id)
            message.header.stamp = item.header.stamp
            topic.publish(message)


def _check_labels(detectors: Mapping[str, Detector]) -> None:
    """ValueError where two detectors would give things that differ the same label."""
    for (one, first), (other, second) in itertools.combinations(detectors.items(), 2):
        start = max(first.labels.start, second.labels.start)
        if start < min(first.labels.stop, second.labels.stop):
            raise ValueError(
                f'detector: found {one} with labels {first.labels.start} to'
                f' {first.labels.stop - 1}, and {other} with {second.labels.start} to'
                f' {second.labels.stop - 1}; allowed: labels that differ (onnx_first_label)'
            )
