# SPDX-License-Identifier: Apache-2.0
"""Images of a live camera, in ROS time."""

from __future__ import annotations

import time

import pytest
from support.fake_camera import number_of

from worker_pipeline import StageStatus
from worker_pipeline.airside.cameras import FrameRequest
from worker_pipeline.airside.cameras.device import Device
from worker_pipeline.airside.cameras.live_camera import LiveCamera

OFFSET = 1_700_000_000_000_000_000  # ns, of ROS time to the steady clock
NOW = FrameRequest(0, 0)  # which does not matter


class Clocks:
    """A steady clock, and ROS time that can be set."""

    offset = OFFSET

    def __call__(self):
        now = time.monotonic_ns()
        return now, now + self.offset


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def camera(device, clocks):
    asked = Device('0', 'any', device.size)
    made = LiveCamera(asked, 0.0, 10.0, StageStatus(), clocks=clocks)
    yield made
    device.pull_out()
    made.close()


def milliseconds():
    return time.monotonic_ns() // 1_000_000


def test_an_image_is_stamped_with_the_ros_time_of_its_capture(camera, device):
    captured = milliseconds() - 20
    device.shoot(3, captured)
    frame = camera.frame(NOW, 0)
    assert number_of(frame.pixels) == 3
    assert frame.stamp == captured * 1_000_000 + OFFSET


def test_an_image_repeated_by_the_driver_is_not_returned_again(camera, device):
    captured = milliseconds() - 20
    device.shoot(1, captured)
    first = camera.frame(NOW, 0)
    device.shoot(1, captured)
    camera._timeout = 0.05
    assert camera.frame(NOW, first.stamp) is None
    device.shoot(2, captured + 1)
    camera._timeout = 10.0
    assert camera.frame(NOW, first.stamp).stamp == first.stamp + 1_000_000


def test_silence_is_reported_until_it_is_over(camera, device):
    camera._timeout = 0.01
    assert camera.frame(NOW, 0) is None
    assert camera.error_message == 'no new image of 0 within 0.01 s'
    camera._timeout = 10.0
    device.shoot(1)
    assert camera.frame(NOW, 0) is not None
    assert camera.error_message == ''


def test_stamps_continue_when_ros_time_is_set_back(camera, device, clocks):
    """Intervals are those of the captures; if ROS time is set forward, the stamps follow."""
    begin = milliseconds() - 20
    device.shoot(1, begin)
    first = camera.frame(NOW, 0)
    clocks.offset -= 3_600_000_000_000
    device.shoot(2, begin + 5)
    second = camera.frame(NOW, first.stamp)
    assert second.stamp == first.stamp + 5_000_000
    assert camera.error_message.startswith('ROS time was set back by 3600.000 s')
    clocks.offset += 3_700_000_000_000
    device.shoot(3, begin + 7)
    third = camera.frame(NOW, second.stamp)
    assert third.stamp == second.stamp + 2_000_000 + 100_000_000_000
    assert camera.error_message == ''
