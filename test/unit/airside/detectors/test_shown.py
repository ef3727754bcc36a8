# SPDX-License-Identifier: Apache-2.0
"""What is published of detections besides the output, to whom."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from support.fake_messages import vision_msgs

from worker_pipeline import TopicRecorder
from worker_pipeline.airside.detectors import shown
from worker_pipeline.airside.messages import image, vision
from worker_pipeline.airside.messages.records import DETECTION, UPRIGHT

HEADER = Header(frame_id='camera', stamp=Time(sec=5))
PIXELS = np.full((60, 80, 3), 90, np.uint8)
PARAMS = {'annotated_scale': 0.5, 'jpeg_quality': 90, 'confidence': 0.4}
PICTURES = (shown.PLAIN, shown.COMPRESSED)
NAMES = (*PICTURES, vision.DETECTIONS_2D)


@pytest.fixture(autouse=True)
def types(monkeypatch):
    monkeypatch.setattr(vision, 'TYPES', vision_msgs())


def detection():
    records = np.zeros(1, DETECTION)
    records[0] = (10.0, 20.0, 50.0, 40.0, 30.0, 30.0, 7, 0.75, *UPRIGHT)
    return records


def published(*heard, topics=NAMES):
    recorders = {name: TopicRecorder(has_subscribers=name in heard) for name in topics}
    shown.ShownDetections(recorders, PARAMS, {7: 'boat'}).publish(HEADER, PIXELS, detection())
    return {name: topic.messages for name, topic in recorders.items() if topic.messages}


@pytest.mark.parametrize('name', NAMES)
def test_a_topic_is_published_if_it_is_heard(name):
    found = published(name)
    assert list(found) == [name]
    assert found[name][0].header == HEADER


def test_nothing_is_drawn_for_nobody(monkeypatch):
    monkeypatch.setattr(shown, 'draw_detections', None)
    assert published() == {}
    assert list(published(vision.DETECTIONS_2D)) == [vision.DETECTIONS_2D]


def test_a_picture_is_drawn_once_for_both_forms(monkeypatch):
    calls = []
    draw = shown.draw_detections
    monkeypatch.setattr(
        shown, 'draw_detections', lambda *arguments: calls.append(1) or draw(*arguments)
    )
    found = published(*PICTURES)
    assert len(calls) == 1
    plain = image.from_message(found[shown.PLAIN][0])
    jpeg = cv2.imdecode(np.frombuffer(found[shown.COMPRESSED][0].data, np.uint8), cv2.IMREAD_COLOR)
    assert plain.shape == jpeg.shape == (30, 40, 3)
    assert np.abs(plain.astype(int) - jpeg).mean() < 20


def test_names_of_labels_are_published_at_once_for_those_who_come_later():
    found = published(topics=(*NAMES, vision.LABEL_INFO))
    (message,) = found[vision.LABEL_INFO]
    assert [(each.class_id, each.class_name) for each in message.class_map] == [(7, 'boat')]
    assert message.threshold == 0.4


def test_the_topics_are_named_as_image_transport_names_them():
    assert f'{shown.PLAIN}/compressed' == shown.COMPRESSED
    assert set(PICTURES) <= set(shown.TOPICS)
