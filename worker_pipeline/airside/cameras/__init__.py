"""Where images come from. Each is a class with ``frame`` and ``close``.

A camera is asked for the frame at a time of the stream, so that what took a dead worker's place
goes on where that one was.
"""

from __future__ import annotations

from typing import Protocol

from worker_pipeline.airside.image import Pixels


class Camera(Protocol):
    """One source of images."""

    def frame(self, time: float) -> Pixels:
        """The image (H, W, 3), BGR, at ``time``, seconds since the stream began.

        Raises EndOfStream past the last, OSError if there should be one and it cannot be read.
        """

    def close(self) -> None:
        """Let go of what is held open."""


def frame_index(time: float, rate: float) -> int:
    """Number of the frame, from 0, that is shown at ``time`` (s) at ``rate`` (frames/s)."""
    # A time on a frame's very beginning must not fall to the one before by rounding.
    return int(time * rate + 1e-6)
