# SPDX-License-Identifier: Apache-2.0
"""Sources of images: live devices, video files and folders. Each implements :class:`Camera`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from worker_pipeline.airside.messages.image import Pixels

# Returns memory for one image (H, W, 3) of the expected size; None: the camera allocates its own.
ImageAllocator = Callable[[], Pixels | None]


def no_image_buffer() -> None:
    """Return no buffer: the camera allocates memory for each image."""


@attrs.frozen
class FrameRequest:
    """A request for an image. ``stamp``: ROS time; ``time``: since the stream began; both ns."""

    stamp: int
    time: int


@attrs.frozen(eq=False)
class CameraFrame:
    """An image (H, W, 3), BGR, and its time of capture, ROS time in ns."""

    pixels: Pixels
    stamp: int

    @property
    def size(self) -> tuple[int, int]:
        """Return the columns and rows."""
        return self.pixels.shape[1], self.pixels.shape[0]


class Camera(Protocol):
    """A source of images.

    A recording and a simulation answer for the requested time, so a replacement continues where a
    dead worker stopped. A live camera always answers with the newest image.
    """

    @property
    def size(self) -> tuple[int, int] | None:
        """Return the columns and rows of the images; None if unknown before the first."""

    @property
    def error_message(self) -> str:
        """Return the current problem; empty if there is none."""

    def frame(self, request: FrameRequest, after: int) -> CameraFrame | None:
        """Return an image captured after ``after`` (ROS time, ns); None if none arrives in time.

        Raises EndOfStream past the last.
        """

    def close(self) -> None:
        """Release the device or file."""
