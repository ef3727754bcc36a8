# SPDX-License-Identifier: Apache-2.0
"""Stages that pass camera frames on, and plain rclpy nodes that do the same."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from sensor_msgs.msg import Image, TimeReference
from std_msgs.msg import Header

from worker_pipeline import Stage
from worker_pipeline.airside.messages.image import Pixels, from_message, to_message
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.ros.cdr import split_stamp

HEIGHT, WIDTH = 1200, 1920
# Enough different frames that none of them is in the processor's cache when it is used again.
PICTURES = 8


def pictures() -> Iterator[Pixels]:
    """Yield frames (1200, 1920, 3), uint8, BGR, endlessly."""
    generator = np.random.default_rng(1)
    made = [generator.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(PICTURES)]
    return itertools.cycle(made)


def stamped(message: Image, sent: int) -> Image:
    """Return the message, stamped with the time of its frame: monotonic time in ns."""
    stamp = message.header.stamp
    stamp.sec, stamp.nanosec = split_stamp(sent)
    return message


def hop(message: Image) -> Header:
    """Return the answer to a frame: the time it took, ms."""
    now, stamp = time.monotonic_ns(), message.header.stamp
    return Header(frame_id=str((now - stamp.sec * NANOSECONDS - stamp.nanosec) / 1e6))


class Camera(Stage):
    """Sends frames."""

    input_type = TimeReference
    output_type = Image

    def configure(self) -> None:
        self.pictures = pictures()

    def process(self, tick: Any) -> Any:  # noqa: ARG002 - a source's
        pixels = self.captured()
        sent = time.monotonic_ns()
        return stamped(to_message(pixels, 'camera'), sent)

    def captured(self) -> Pixels:
        """Return the next frame, in memory of its own."""
        return next(self.pictures)


class BorrowingCamera(Camera):
    """Writes its frames into borrowed memory, like a camera that captures into it."""

    def captured(self) -> Pixels:
        pixels: Pixels = self.borrow_array((HEIGHT, WIDTH, 3))
        np.copyto(pixels, super().captured())
        return pixels


class Viewer(Stage):
    """Takes a frame as an array, and answers with the time it took."""

    input_type = Image
    output_type = Header

    def process(self, item: Any) -> Any:
        pixels = from_message(item)
        answer = hop(item)
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        return answer
