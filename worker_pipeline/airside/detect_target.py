# SPDX-License-Identifier: Apache-2.0
"""The stage that detects targets in an image: pads, emitters, objects known to a model."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.common.refusal_log import RefusalLog
from worker_pipeline.airside.detectors import DETECTORS, PARAMETERS, Detector, shown
from worker_pipeline.airside.detectors.plausibility import ImplausibleOutputError
from worker_pipeline.airside.geometry.pinhole import INTRINSICS
from worker_pipeline.airside.messages import image, point_cloud
from worker_pipeline.airside.messages.encodings import encoding_of
from worker_pipeline.airside.messages.records import DETECTION
from worker_pipeline.parameter import Parameter, did_you_mean
from worker_pipeline.stage import Stage
from worker_pipeline.system.threads import thread_limit

_MIN_SIDE = 4  # pixels; detectors halve images, and hold nothing smaller against its surroundings


class DetectTarget(Stage[Image, PointCloud2]):
    """Stage from an image to detections: a cloud of ``records.DETECTION``, in pixels.

    An image without targets gives an empty cloud, which differs from no answer. One that cannot be
    read gives a cloud that says it was not searched (``point_cloud.not_searched``), is counted as
    ``unreadable_images`` and logged. An image whose size is not the calibrated one is searched,
    counted as ``of_another_size``, and warned about: its detections will be located wrongly.
    """

    input_type = Image
    output_type = PointCloud2
    topics: ClassVar[Mapping[str, Any]] = shown.TOPICS
    parameters: ClassVar[Mapping[str, Any]] = {
        'detector': Parameter(
            ['aruco', 'contour'],
            f'detectors to use, of {", ".join(DETECTORS)}; their detections are combined',
        ),
        'confidence': Parameter(0.5, 'smallest confidence of a detection', '', 0.0, 1.0),
        'image_encoding': Parameter(
            '', 'encoding of the images if their messages have a wrong one; empty: as they say'
        ),
        'value_range': Parameter(
            [0.0, 0.0],
            'values of more than 8 bits that become black and white; equal: found for each image',
        ),
        **shown.PARAMETERS,
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
        _check_image_parameters(self.params)
        self._unreadable = RefusalLog(self.logger)
        self._detectors = {name: DETECTORS[name](self.params) for name in names}
        _check_labels(self._detectors)
        label_names: dict[int, str] = {}
        for detector in self._detectors.values():
            label_names.update(detector.label_names)
            for key, value in detector.status_values.items():
                self.status.set(key, value)
        self._shown = shown.ShownDetections(self.topic, self.params, label_names)

    def process(self, item: Image) -> PointCloud2:
        """Return the detections of all detectors in one image."""
        source = '' if isinstance(item, CompressedImage) else self.params['image_encoding']
        try:
            pixels = image.from_message(item, image.BGR8, self.params['value_range'], source)
            _check_size(pixels)
        except image.UnreadableImageError as error:
            self.status.count('unreadable_images')
            self.status.warn(f'image not searched: {error}')
            self._unreadable.record(
                error.cause, f'images are not searched: {error}', time.monotonic()
            )
            return point_cloud.not_searched(DETECTION, item.header.frame_id)
        self._check_image(pixels)
        searched = [
            found
            for each in self._detectors.values()
            if (found := self._detect(each, pixels)) is not None
        ]
        if not searched:
            return point_cloud.not_searched(DETECTION, item.header.frame_id)
        found = np.concatenate(searched)
        confident = found[found['confidence'] >= self.params['confidence']]
        self._shown.publish(item.header, pixels, confident)
        return point_cloud.to_message(confident, item.header.frame_id)

    def _detect(self, detector: Detector, pixels: image.Pixels) -> point_cloud.Records | None:
        """Return a detector's detections; None, with a warning, if they cannot be right."""
        try:
            return detector.detect(pixels)
        except ImplausibleOutputError as error:
            self.status.count('implausible')
            text = f'onnx_model: output rejected: {error}'
            self.status.warn(text)
            self._unreadable.record('implausible', text, time.monotonic())
            return None

    def _check_image(self, pixels: image.Pixels) -> None:
        """Report what makes detections wrong or impossible."""
        problems = []
        height, width = pixels.shape[:2]
        calibrated = self.params['width'], self.params['height']
        if (width, height) != calibrated:
            self.status.count('of_another_size')
            problems.append(
                f'image: found {width}x{height} pixels; calibrated: {calibrated[0]}x{calibrated[1]}'
                ' (width, height): detections will be located wrongly'
            )
        blind = [name for name, each in self._detectors.items() if each.needs_colour]
        if blind and not image.has_colour(pixels):
            self.status.count('without_colour')
            text = f'image: has no colours; {", ".join(blind)} finds nothing in it'
            problems.append(text)
            self._unreadable.record('no colours', text, time.monotonic())
        if problems:
            self.status.warn('; '.join(problems))
        else:
            self.status.ok()


class DetectTargetCompressed(DetectTarget):
    """The same stage for a camera's ``CompressedImage``, such as ``/camera/image_raw/compressed``.

    JPEG and PNG are read, and what else OpenCV reads; depth images and videos are not.
    """

    input_type = CompressedImage


def _check_size(pixels: image.Pixels) -> None:
    """Raise UnreadableImageError for an image that detectors reduce to nothing."""
    height, width = pixels.shape[:2]
    if min(height, width) < _MIN_SIDE:
        raise image.UnreadableImageError(
            'size',
            f'size: found {width}x{height} pixels; allowed: at least {_MIN_SIDE} each way',
        )


def _check_image_parameters(params: Mapping[str, Any]) -> None:
    """Raise ValueError for an encoding or a range that there cannot be."""
    if params['image_encoding']:
        try:
            encoding_of(params['image_encoding'])
        except ValueError as error:
            raise ValueError(f'image_encoding: {error}') from error
    limits = list(params['value_range'])
    if len(limits) != 2 or not -math.inf < limits[0] <= limits[1] < math.inf:
        raise ValueError(f'value_range: found {limits}; allowed: two values, the smaller one first')


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
