"""Stages that pass camera frames on, each with a checksum of its pixels."""

from __future__ import annotations

import threading
import time
import zlib
from collections import deque

import numpy as np
from sensor_msgs.msg import Image, TimeReference
from std_msgs.msg import Header

from worker_pipeline import EndOfStream, Stage
from worker_pipeline.airside.image import from_message, to_message

HEIGHT, WIDTH = 300, 400


def checksum(pixels: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).data)


def made_of(pixels: np.ndarray, stage: Stage) -> np.ndarray:
    """The same in memory of its own, borrowed if the stage is asked to."""
    made = stage.borrow_array(pixels.shape) if stage.params['borrows'] else np.empty_like(pixels)
    made[:] = pixels
    return made


class Camera(Stage):
    """Makes frames with noise of their own; the checksum of its pixels is a frame's name.

    It looks at those of its last ``keeps`` messages again, and fails where they are not the same.
    """

    input_type = TimeReference
    output_type = Image
    parameters = {'frames': 100, 'borrows': False, 'keeps': 0}

    def configure(self):
        self.made = 0
        self.noise = np.random.default_rng()
        self.kept = deque(maxlen=self.params['keeps'])

    def process(self, tick):  # noqa: ARG002
        if self.made >= self.params['frames']:
            raise EndOfStream
        self.made += 1
        for message in self.kept:
            if str(checksum(from_message(message))) != message.header.frame_id:
                raise RuntimeError('a kept message is torn')
        noise = self.noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        pixels = made_of(noise, self)
        message = to_message(pixels, str(checksum(pixels)))
        self.kept.append(message)
        return message


class Pass(Stage):
    """Passes frames on, made anew."""

    input_type = Image
    output_type = Image
    parameters = {'borrows': False}

    def process(self, item):
        return to_message(made_of(from_message(item), self), item.header.frame_id)


class PassOn(Stage):
    """Passes frames on where they are."""

    input_type = Image
    output_type = Image

    def process(self, item):
        return item


class Forget(Stage):
    """Keeps the frame it has, and lets go of it after a while, when no other has come."""

    input_type = Image
    output_type = Header

    def process(self, item):
        pixels = from_message(item)
        self.kept = [pixels]
        threading.Timer(2.5, self.kept.clear).start()
        return Header(frame_id=item.header.frame_id)


class Check(Stage):
    """Tells whether the pixels are those that were made, at the beginning and a while later."""

    input_type = Image
    output_type = Header
    parameters = {'seconds': 0.0, 'keeps': 0}

    def configure(self):
        self.kept = []

    def process(self, item):
        pixels = from_message(item)
        before = checksum(pixels)
        time.sleep(self.params['seconds'])
        told = [str(before), str(checksum(pixels)), item.header.frame_id]
        for kept, name in self.kept:
            told += [str(checksum(kept)), name] if str(checksum(kept)) != name else []
        self.kept = [*self.kept, (pixels, item.header.frame_id)][-self.params['keeps'] :]
        if not self.params['keeps']:
            self.kept = []
        return Header(frame_id='whole' if len(set(told)) == 1 else f'torn: {told}')
