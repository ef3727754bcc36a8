"""Stages that pass camera frames on, each with a checksum of its pixels."""

from __future__ import annotations

import threading
import time
import zlib

import numpy as np
from sensor_msgs.msg import Image, TimeReference
from std_msgs.msg import Header

from worker_pipeline import EndOfStream, Stage
from worker_pipeline.airside.image import from_message, to_message

HEIGHT, WIDTH = 300, 400


def checksum(pixels: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).data)


class Camera(Stage):
    """Makes frames with noise of their own; the checksum of its pixels is a frame's name."""

    input_type = TimeReference
    output_type = Image
    parameters = {'frames': 100}

    def configure(self):
        self.made = 0
        self.noise = np.random.default_rng()

    def process(self, tick):  # noqa: ARG002
        if self.made >= self.params['frames']:
            raise EndOfStream
        self.made += 1
        pixels = self.noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        return to_message(pixels, str(checksum(pixels)))


class Pass(Stage):
    """Passes frames on, made anew."""

    input_type = Image
    output_type = Image

    def process(self, item):
        return to_message(from_message(item).copy(), item.header.frame_id)


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
