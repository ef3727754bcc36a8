"""An image of any size in a model's input: scaled to fit, in the middle of a grey frame.

Models count pixels from the image's corner: the first pixel reaches from 0 to 1, and its middle is
0.5. Detections have its middle at 0.
"""

from __future__ import annotations

import attrs
import cv2
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.image import Pixels

Boxes = npt.NDArray[np.float64]

_GREY = 114  # what such models are trained with


@attrs.frozen
class Letterbox:
    """How images (width, height) of one size are put into an input (width, height) of another."""

    image: tuple[int, int]
    input: tuple[int, int]

    @property
    def scaled(self) -> tuple[int, int]:
        """Width and height of the image within the input, pixels."""
        scale = min(inside / own for inside, own in zip(self.input, self.image, strict=True))
        width, height = (max(1, round(own * scale)) for own in self.image)
        return width, height

    @property
    def corner(self) -> tuple[int, int]:
        """Left and top of the image within the input, pixels."""
        left, top = (
            (inside - own) // 2 for inside, own in zip(self.input, self.scaled, strict=True)
        )
        return left, top

    def put(self, pixels: Pixels) -> Pixels:
        """The input (H, W, 3) with an image in it."""
        (left, top), (width, height) = self.corner, self.scaled
        framed = np.full((self.input[1], self.input[0], 3), _GREY, np.uint8)
        framed[top : top + height, left : left + width] = cv2.resize(
            pixels, (width, height), interpolation=cv2.INTER_LINEAR
        )
        return framed

    def to_image(self, boxes: Boxes) -> Boxes:
        """Boxes (N, 4), x1 y1 x2 y2, from the input to the image, cut at its edges."""
        points = (boxes.reshape(-1, 2, 2) - self.corner) * self._stretch - 0.5
        limits = np.array(self.image) - 0.5
        return np.clip(points, -0.5, limits).reshape(-1, 4)

    def to_input(self, boxes: Boxes) -> Boxes:
        """Boxes (N, 4), x1 y1 x2 y2, from the image to the input."""
        points = (boxes.reshape(-1, 2, 2) + 0.5) / self._stretch + self.corner
        return points.reshape(-1, 4)

    @property
    def _stretch(self) -> npt.NDArray[np.float64]:
        """Pixels of the image for each of the input, in x and y."""
        return np.array(self.image) / self.scaled
