# SPDX-License-Identifier: Apache-2.0
"""The stages of the benchmarks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from std_msgs.msg import Header

from benchmarks import marks
from worker_pipeline import Stage

# The environment variable with the path of the file in which answers are noted.
ANSWERS = 'WORKER_PIPELINE_ANSWERS'


class Echo(Stage):
    """Does nothing, so that the pipeline itself is measured."""

    input_type = Header
    output_type = Header

    def process(self, item: Any) -> Any:
        return item


class Marking(Echo):
    """Leaves a mark when it is active."""

    def activate(self) -> None:
        marks.leave()


class Holding(Echo):
    """Holds an item whose text is a path until it is killed, at the first attempt only.

    The file at that path names the worker.
    """

    def process(self, item: Any) -> Any:
        if item.frame_id.startswith('/'):
            fresh = Path(f'{item.frame_id}.{os.getpid()}')
            fresh.write_text(str(os.getpid()))
            try:
                os.link(fresh, item.frame_id)
            except FileExistsError:
                return item  # tried before
            time.sleep(60.0)
        return item


class Answering(Echo):
    """Takes some time for an item, and notes when it answers."""

    def configure(self) -> None:
        self.file = open(os.environ[ANSWERS], 'a', buffering=1)  # noqa: SIM115

    def process(self, item: Any) -> Any:
        time.sleep(0.002)
        self.file.write(f'{time.monotonic()}\n')
        return item


class Detect(Echo):
    """Detects round marks in a camera image of its own, with the threads of its stage."""

    def configure(self) -> None:
        import cv2
        import numpy as np

        generator = np.random.default_rng(1)
        self.image = generator.integers(0, 80, (1200, 1920), dtype=np.uint8)
        for _ in range(20):
            x, y = (int(each) for each in generator.integers((50, 50), (1870, 1150)))
            cv2.circle(self.image, (x, y), 25, 220, -1)

    def process(self, item: Any) -> Any:
        import cv2

        blurred = cv2.GaussianBlur(self.image, (9, 9), 0)
        _, mask = cv2.threshold(blurred, 150, 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        return Header(stamp=item.stamp, frame_id=str(len(contours)))
