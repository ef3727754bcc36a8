# SPDX-License-Identifier: Apache-2.0
"""Stages that pass camera frames on, each with a checksum of its pixels."""

from __future__ import annotations

import threading
import time
import zlib
from collections import deque

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image, TimeReference
from std_msgs.msg import Header

from worker_pipeline import EndOfStream, Stage
from worker_pipeline.airside.messages.image import from_message, to_message

HEIGHT, WIDTH = 300, 400
Pixels = npt.NDArray[np.uint8]


def checksum(pixels: Pixels) -> int:
    """Return the CRC-32 of the pixels."""
    return zlib.crc32(np.ascontiguousarray(pixels).data)


def copy_of(pixels: Pixels, stage: Stage) -> Pixels:
    """Return a copy of the pixels, in borrowed memory if set in the stage's parameter."""
    made = stage.borrow_array(pixels.shape) if stage.params['borrows'] else np.empty_like(pixels)
    made[:] = pixels
    return made


class Camera(Stage):
    """A source of frames with random noise; ``frame_id`` is the checksum of their pixels.

    It checks the pixels of its last ``keeps`` messages again, and raises if they have changed.
    """

    input_type = TimeReference
    output_type = Image
    parameters = {'frames': 100, 'borrows': False, 'keeps': 0}

    def configure(self) -> None:
        self.made = 0
        self.noise = np.random.default_rng()
        self.kept: deque[Image] = deque(maxlen=self.params['keeps'])

    def process(self, tick: TimeReference) -> Image:  # noqa: ARG002
        if self.made >= self.params['frames']:
            raise EndOfStream
        self.made += 1
        for message in self.kept:
            if str(checksum(from_message(message))) != message.header.frame_id:
                raise RuntimeError('a kept message is torn')
        noise = self.noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        pixels = copy_of(noise, self)
        message = to_message(pixels, str(checksum(pixels)))
        self.kept.append(message)
        return message


class Pass(Stage):
    """Sends a copy of each frame."""

    input_type = Image
    output_type = Image
    parameters = {'borrows': False}

    def process(self, item: Image) -> Image:
        return to_message(copy_of(from_message(item), self), item.header.frame_id)


class PassOn(Stage):
    """Sends each frame on without a copy."""

    input_type = Image
    output_type = Image

    def process(self, item: Image) -> Image:
        return item


class KeepForAWhile(Stage):
    """Keeps the last frame and drops it after a while."""

    input_type = Image
    output_type = Header

    def process(self, item: Image) -> Header:
        pixels = from_message(item)
        self.kept = [pixels]
        threading.Timer(2.5, self.kept.clear).start()
        return Header(frame_id=item.header.frame_id)


class Check(Stage):
    """Checks the pixels of each frame at once and a while later, and those that it keeps."""

    input_type = Image
    output_type = Header
    parameters = {'seconds': 0.0, 'keeps': 0}

    def configure(self) -> None:
        self.kept: list[tuple[Pixels, str]] = []

    def process(self, item: Image) -> Header:
        pixels = from_message(item)
        before = checksum(pixels)
        time.sleep(self.params['seconds'])
        checksums = [str(before), str(checksum(pixels)), item.header.frame_id]
        for kept, name in self.kept:
            checksums += [str(checksum(kept)), name] if str(checksum(kept)) != name else []
        self.kept = [*self.kept, (pixels, item.header.frame_id)][-self.params['keeps'] :]
        if not self.params['keeps']:
            self.kept = []
        return Header(frame_id='whole' if len(set(checksums)) == 1 else f'torn: {checksums}')
