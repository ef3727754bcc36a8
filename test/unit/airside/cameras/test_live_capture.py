# SPDX-License-Identifier: Apache-2.0
"""A camera that is read by its own thread."""

from __future__ import annotations

import time

import cv2
import pytest
from support.fake_camera import number_of

from worker_pipeline import StageStatus
from worker_pipeline.airside.cameras import live_capture
from worker_pipeline.airside.cameras.device import Device
from worker_pipeline.airside.cameras.live_capture import LiveCapture
from worker_pipeline.airside.common.backoff import Backoff
from worker_pipeline.testing import wait_for

A_LONG_TIME = 10.0  # s


@pytest.fixture
def start(device):
    """Read the fake camera."""
    started = []

    def start_reading(latency=0.0, *, wait=False):
        asked = Device('0', 'any', device.size)
        status = StageStatus()
        capture = LiveCapture(asked.open, None if wait else asked.open(), latency, status)
        capture.status = status
        started.append(capture)
        return capture

    yield start_reading
    device.pull_out()
    for each in started:
        each.close()


def test_the_newest_image_is_returned_once(start, device):
    capture = start()
    for number in range(3):
        device.shoot(number)
    wait_for(lambda: capture._newest is not None and device.grabbed == 3, 'that all were read')
    wait_for(lambda: number_of(capture._newest.pixels) == 2, 'the newest')
    assert number_of(capture.newest(0.0).pixels) == 2
    assert capture.newest(0.0) is None


def test_newest_waits_for_an_image(start, device):
    """It waits for the timeout and no longer."""
    capture = start()
    began = time.monotonic()
    assert capture.newest(0.05) is None
    assert time.monotonic() - began >= 0.05
    device.shoot(7)
    assert number_of(capture.newest(A_LONG_TIME).pixels) == 7


def test_a_frame_is_stamped_on_arrival_not_on_request(start, device):
    capture = start(latency=0.5)
    before = time.monotonic_ns()
    device.shoot(1)
    wait_for(lambda: capture._newest, 'the image')
    after = time.monotonic_ns()
    wait_for(lambda: time.monotonic_ns() > after + 5_000_000, 'some milliseconds')
    assert before <= capture.newest(0.0).time + 500_000_000 <= after
    assert capture.status.values['stamped_by'] == 'arrival'


def test_the_rate_of_the_camera_and_missing_images_are_reported(start, device, monkeypatch):
    """By the driver's times: 20 a second, and two images that never came."""
    monkeypatch.setattr(live_capture, 'RATE_PERIOD', 0)
    capture = start()
    begin = time.monotonic_ns() // 1_000_000 - 2_000.0
    for number in (*range(20), *range(22, 30)):
        device.shoot(number % 10, begin + 50 * number)
    wait_for(
        lambda: capture.status.values.get('camera_missing') == '2',
        'the figures',
        seen=lambda: capture.status.values,
    )
    assert capture.status.values['camera_rate_hz'] == '20.00'
    assert capture.status.values['camera_jitter_ms'] == '0.00'


def test_the_drivers_time_is_preferred(start, device):
    """Implausible times, and values that are not times of capture, are ignored."""
    capture = start(latency=0.5)
    milliseconds = time.monotonic_ns() // 1_000_000 - 30.0
    device.shoot(1, milliseconds)
    assert capture.newest(A_LONG_TIME).time == round(milliseconds * 1e6)
    assert capture.status.values['stamped_by'] == 'driver'
    for by_another_clock in (time.time() * 1e3, milliseconds - 10_000.0, 0.0):
        device.shoot(2, by_another_clock)
        assert abs(capture.newest(A_LONG_TIME).time + 500_000_000 - time.monotonic_ns()) < 5e9
        assert capture.status.values['stamped_by'] == 'arrival'
    device.backend = 'FFMPEG'
    device.shoot(3, milliseconds)
    capture.newest(A_LONG_TIME)
    assert capture.status.values['stamped_by'] == 'arrival'


def test_a_failed_camera_is_reopened(start, device):
    """Until it is back, no image is returned."""
    capture = start()
    device.shoot(1)
    assert number_of(capture.newest(A_LONG_TIME).pixels) == 1
    device.pull_out()
    wait_for(lambda: int(capture.status.values.get('failed_opens', 0)) >= 3, 'more attempts')
    assert capture.newest(0.0) is None
    assert 'is not a camera that OpenCV can open' in capture.error_message
    device.plugged = True
    device.shoot(2)
    assert number_of(capture.newest(A_LONG_TIME).pixels) == 2
    assert capture.error_message == ''
    assert capture.status.values['failed_reads'] == capture.status.values['reconnects'] == '1'
    assert device.given_back == 1


def test_a_camera_may_be_connected_later(start, device):
    device.plugged = False
    capture = start(wait=True)
    wait_for(lambda: device.opened, 'an attempt')
    assert capture.error_message
    device.plugged = True
    device.shoot(4)
    assert number_of(capture.newest(A_LONG_TIME).pixels) == 4


def test_a_damaged_image_is_skipped(start, device):
    """The next image is received."""
    capture = start()
    device.shoot_torn()
    wait_for(lambda: capture.error_message == 'an image could not be decoded', 'the error message')
    assert capture.newest(0.0) is None
    device.shoot(5)
    assert number_of(capture.newest(A_LONG_TIME).pixels) == 5
    assert capture.error_message == ''
    assert capture.status.values['failed_reads'] == '1'
    assert len(device.opened) == 1


def test_an_opencv_exception_counts_as_a_failure(start, device):
    capture = start()
    device.shoot(1)
    capture.newest(A_LONG_TIME)
    device.fail(cv2.error('VIDIOC_DQBUF'))
    device.shoot(2)
    assert number_of(capture.newest(A_LONG_TIME).pixels) == 2
    assert len(device.opened) == 2
    assert capture.status.values['failed_reads'] == '1'


def test_pauses_grow_up_to_a_limit(monkeypatch):
    monkeypatch.undo()
    backoff = Backoff(live_capture.FIRST_PAUSE, live_capture.MAX_PAUSE)
    pauses = [backoff.next() for _ in range(10_001)]
    assert pauses[:5] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert pauses[10_000] == 5.0
    backoff.reset()
    assert backoff.next() == pytest.approx(0.1)


def test_close_releases_the_camera(start, device):
    capture = start()
    device.shoot(1)
    capture.newest(A_LONG_TIME)
    capture._closing.set()
    device.shoot(2)
    capture.close()
    assert device.given_back == 1
