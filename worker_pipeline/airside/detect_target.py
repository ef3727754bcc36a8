# SPDX-License-Identifier: Apache-2.0
"""The stage that detects targets in an image: pads, emitters, objects known to a model."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sensor_msgs.msg import Image, PointCloud2

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.detectors import DETECTORS, PARAMETERS, Detector
from worker_pipeline.airside.detectors.annotation import draw_detections
from worker_pipeline.airside.detectors.plausibility import ImplausibleOutputError
from worker_pipeline.airside.geometry.pinhole import INTRINSICS
from worker_pipeline.airside.messages import image, point_cloud
from worker_pipeline.airside.messages.records import DETECTION
from worker_pipeline.parameter import Parameter, did_you_mean
from worker_pipeline.stage import Stage
from worker_pipeline.system.threads import thread_limit


class DetectTarget(Stage[Image, PointCloud2]):
    """Stage from an image (bgr8) to detections: a cloud of ``records.DETECTION``, in pixels.

    An image without targets gives an empty cloud, which differs from no answer. An invalid image
    also gives an empty cloud and is counted as ``refused``. An image whose size is not the
    calibrated one is searched, counted as ``of_another_size``, and warned about: its detections
    will be located wrongly.
    """

    input_type = Image
    output_type = PointCloud2
    topics: ClassVar[Mapping[str, Any]] = {'annotated': Image}
    parameters: ClassVar[Mapping[str, Any]] = {
        'detector': Parameter(
            ['aruco', 'contour'],
            f'detectors to use, of {", ".join(DETECTORS)}; their detections are combined',
        ),
        'confidence': Parameter(0.5, 'smallest confidence of a detection', '', 0.0, 1.0),
        'annotated_scale': Parameter(
            0.5, 'scale of the picture on the topic annotated', '', 0.01, 1.0
        ),
        'width': INTRINSICS['width'],
        'height': INTRINSICS['height'],
        **PARAMETERS,
    }

    def configure(self) -> None:
        """Create the detectors. ValueError if one is unknown or a parameter is invalid."""
        # Not all cores: the others belong to the other workers.
        cv2.setNumThreads(thread_limit())
        names = list(self.params['detector'])
        unknown = [name for name in names if name not in DETECTORS]
        if unknown or not names:
            hint = did_you_mean(unknown[0], list(DETECTORS)) if unknown else 'name at least one'
            allowed = ', '.join(DETECTORS)
            raise ValueError(f'detector: found {names}; allowed: some of {allowed}; {hint}')
        self._detectors = {name: DETECTORS[name](self.params) for name in names}
        _check_labels(self._detectors)
        self._label_names: dict[int, str] = {}
        for detector in self._detectors.values():
            self._label_names.update(detector.label_names)
            for key, value in detector.status_values.items():
                self.status.set(key, value)

    def process(self, item: Image) -> PointCloud2:
        """Return the detections of all detectors in one image."""
        try:
            pixels = image.from_message(item)
        except ValueError as error:
            self.status.count('refused')
            self.status.warn(f'image rejected: {error}')
            return point_cloud.to_message(np.empty(0, DETECTION), item.header.frame_id)
        self._check_size(pixels)
        found = np.concatenate([self._detect(each, pixels) for each in self._detectors.values()])
        confident = found[found['confidence'] >= self.params['confidence']]
        self._show(item, pixels, confident)
        return point_cloud.to_message(confident, item.header.frame_id)

    def _detect(self, detector: Detector, pixels: image.Pixels) -> point_cloud.Records:
        """Return a detector's detections; none, with a warning, if they cannot be right."""
        try:
            return detector.detect(pixels)
        except ImplausibleOutputError as error:
            self.status.count('implausible')
            self.status.warn(f'onnx_model: output rejected: {error}')
            return np.empty(0, DETECTION)

    def _check_size(self, pixels: image.Pixels) -> None:
        height, width = pixels.shape[:2]
        calibrated = self.params['width'], self.params['height']
        if (width, height) == calibrated:
            self.status.ok()
            return
        self.status.count('of_another_size')
        self.status.warn(
            f'image: found {width}x{height} pixels; calibrated: {calibrated[0]}x{calibrated[1]}'
            ' (width, height): detections will be located wrongly'
        )

    def _show(self, item: Any, pixels: image.Pixels, detections: point_cloud.Records) -> None:
        """Publish the image with its detections if the topic has subscribers."""
        topic = self.topic['annotated']
        if topic.has_subscribers:
            picture = draw_detections(
                pixels, detections, self._label_names, self.params['annotated_scale']
            )
            message = image.to_message(picture, item.header.frame_id)
            message.header.stamp = item.header.stamp
            topic.publish(message)


def _check_labels(detectors: Mapping[str, Detector]) -> None:
    """Raise ValueError if two detectors would give different objects the same label."""
    for (one, first), (other, second) in itertools.combinations(detectors.items(), 2):
        start = max(first.labels.start, second.labels.start)
        if start < min(first.labels.stop, second.labels.stop):
            raise ValueError(
                f'detector: found {one} with labels {first.labels.start} to'
                f' {first.labels.stop - 1}, and {other} with {second.labels.start} to'
                f' {second.labels.stop - 1}; allowed: different labels (onnx_first_label)'
            )
