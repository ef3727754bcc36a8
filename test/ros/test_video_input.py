# SPDX-License-Identifier: Apache-2.0
"""The camera stage in a real pipeline."""

from __future__ import annotations

import time

import cv2
from sensor_msgs.msg import CameraInfo, Image
from support.fake_camera import SIZE, captured_at

from worker_pipeline.airside.messages.image import from_message
from worker_pipeline.context import stamp_ns
from worker_pipeline.testing import wait_for

DEATHS = 2
PARAMETERS = {'camera': 'device', 'path': '0', 'width': SIZE[0], 'height': SIZE[1]}


def stamps(messages):
    return [stamp_ns(each.header.stamp) for each in messages]


def test_a_replaced_camera_continues_in_stream_time(start, observer, tmp_path):
    """No image is repeated; images and ``camera_info`` have the time of capture."""
    saved = tmp_path / 'saved'
    params = {**PARAMETERS, 'save_to': str(saved), 'save_every': 3}
    camera = {'plugin': 'support.fake_camera:PacedInput', 'period': 0.01, 'params': params}
    manager = start({'stages': ['camera'], 'camera': camera})
    images = observer.collect('camera/output', Image)
    told = observer.collect('camera/camera_info', CameraInfo)

    def wait_for_more():
        enough = len(images) + 20, len(told) + 20
        wait_for(
            lambda: len(images) >= enough[0] and len(told) >= enough[1],
            'more images, and what is told of them',
            seen=lambda: (len(images), len(told), manager.show()),
        )

    wait_for_more()
    for _ in range(DEATHS):
        killed = observer.kill('camera/worker_0')
        observer.wait_until_replaced('camera/worker_0', killed)
        wait_for_more()
    given = stamps(images)
    assert given == sorted(set(given))
    captured = [captured_at(from_message(each)) for each in images]
    assert captured == sorted(set(captured))
    distance = time.time_ns() - time.monotonic_ns()  # of the two clocks
    off = [abs(stamp - taken - distance) for stamp, taken in zip(given, captured, strict=True)]
    assert max(off) < 5_000_000
    # For an image that was announced but not sent, the last one of a killed worker.
    known = [each for each in stamps(told) if given[0] <= each <= given[-1]]
    assert len({*known} - {*given}) <= DEATHS
    assert len({*known} & {*given}) >= 40
    assert {(each.width, each.height, each.header.frame_id) for each in told} == {(*SIZE, 'camera')}
    files = sorted(saved.glob('*.jpg'))
    assert len(files) >= 15
    assert all(cv2.imread(str(each)) is not None for each in files)
