# SPDX-License-Identifier: Apache-2.0
"""What a stage that detects publishes besides its output: pictures for people, vision_msgs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensor_msgs.msg import CompressedImage, Image

from worker_pipeline.airside.detectors.annotation import draw_detections
from worker_pipeline.airside.messages import image, vision
from worker_pipeline.airside.messages.jpeg import to_jpeg
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.parameter import Parameter
from worker_pipeline.topic import Topic

PLAIN, COMPRESSED = 'annotated', 'annotated/compressed'
TOPICS: Mapping[str, Any] = {PLAIN: Image, COMPRESSED: CompressedImage, **vision.topics_2d()}
PARAMETERS: Mapping[str, Parameter] = {
    'annotated_scale': Parameter(0.5, 'scale of the picture on the topic annotated', '', 0.01, 1.0),
    'jpeg_quality': Parameter(80, 'quality of annotated/compressed', '', 1, 100),
}


class ShownDetections:
    """Publishes the detections in each image on the topics that have subscribers.

    Args:
        topics: The stage's ``TOPICS``.
        params: The stage's ``PARAMETERS``, and ``confidence``.
        names: The names of labels.
    """

    def __init__(
        self, topics: Mapping[str, Topic], params: Mapping[str, Any], names: Mapping[int, str]
    ) -> None:
        self._topics = topics
        self._params = params
        self._names = names
        if vision.LABEL_INFO in topics:
            message = vision.label_info(names, params['confidence'])
            topics[vision.LABEL_INFO].publish(message)

    def publish(self, header: Any, pixels: image.Pixels, detections: Records) -> None:
        """Publish the detections in one image.

        Args:
            header: The image's.
            pixels: The image, BGR.
            detections: Those in it.
        """
        heard = {name for name, topic in self._topics.items() if topic.has_subscribers}
        if vision.DETECTIONS_2D in heard:
            message = vision.detections_2d(detections, header)
            self._topics[vision.DETECTIONS_2D].publish(message)
        if not heard & {PLAIN, COMPRESSED}:
            return
        picture = draw_detections(pixels, detections, self._names, self._params['annotated_scale'])
        if PLAIN in heard:
            plain = image.to_message(picture, header.frame_id)
            plain.header.stamp = header.stamp
            self._topics[PLAIN].publish(plain)
        if COMPRESSED in heard:
            jpeg = to_jpeg(picture, header, self._params['jpeg_quality'])
            self._topics[COMPRESSED].publish(jpeg)
