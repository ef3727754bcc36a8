"""Where images come from. Each is a class with ``frame`` and ``close``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from worker_pipeline.airside.image import Pixels

# Gives memory for one image (H, W, 3), of the size that is expected; None: it is to have its own.
Room = Callable[[], Pixels | None]


def no_room() -> None:
    """For images in memory of their own."""


@attrs.frozen
class Asked:
    """What a camera is asked. ``stamp``: now, ROS time; ``time``: since the stream began; ns."""

    stamp: int
    time: int


@attrs.frozen(eq=False)
class Frame:
    """An image (H, W, 3), BGR, and the ROS time in ns at which it was captured."""

    pixels: Pixels
    stamp: int

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.pixels.shape[1], self.pixels.shape[0]


class Camera(Protocol):
    """One source of images.

    A recording and a simulation answer for the time asked, so that what took a dead worker's place
    goes on where that one was. A live camera knows only now.
    """

    @property
    def size(self) -> tuple[int, int] | None:
        """Columns and rows of its images; None where that is not known before the first."""

    @property
    def trouble(self) -> str:
        """What is not as it should be; empty where all is well."""

    def frame(self, asked: Asked, after: int) -> Frame | None:
        """An image captured after ``after`` (ROS time, ns); None where there is none in good time.

        Raises EndOfStream past the last.
        """

    def close(self) -> None:
        """Let go of what is held open."""
