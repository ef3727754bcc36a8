# SPDX-License-Identifier: Apache-2.0
"""Letterboxing: an image scaled to fit a model's input, on grey.

Models measure from the image's corner: the first pixel spans 0 to 1, with its centre at 0.5. In
detections its centre is 0.
"""

from __future__ import annotations

import enum
import math

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.messages.image import Pixels

Boxes = npt.NDArray[np.float64]

_GREY = 114  # as in the training of such models


class Placing(enum.Enum):
    """Where an image is in the input: as in the training of the model's family."""

    CENTRED = 'centred'
    TOP_LEFT = 'top left'
    STRETCHED = 'stretched'


@attrs.frozen
class Letterbox:
    """The mapping from images (width, height) of one size to an input (width, height)."""

    image: tuple[int, int]
    input: tuple[int, int]
    placing: Placing = Placing.CENTRED

    @property
    def scaled(self) -> tuple[int, int]:
        """Return width and height of the image within the input, pixels."""
        if self.placing is Placing.STRETCHED:
            return self.input
        scale = min(inside / own for inside, own in zip(self.input, self.image, strict=True))
        whole = math.floor if self.placing is Placing.TOP_LEFT else round
        width, height = (max(1, whole(own * scale)) for own in self.image)
        return width, height

    @property
    def corner(self) -> tuple[int, int]:
        """Return left and top of the image within the input, pixels."""
        if self.placing is not Placing.CENTRED:
            return 0, 0
        left, top = (
            (inside - own) // 2 for inside, own in zip(self.input, self.scaled, strict=True)
        )
        return left, top

    def put(self, pixels: Pixels) -> Pixels:
        """Return the input (H, W, 3) with an image in it, of the image's type."""
        (left, top), (width, height) = self.corner, self.scaled
        framed = np.full((self.input[1], self.input[0], 3), _GREY, pixels.dtype)
        framed[top : top + height, left : left + width] = (
            pixels
            if pixels.shape[1::-1] == (width, height)
            else cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        )
        return framed

    def to_image(self, boxes: Boxes) -> Boxes:
        """Return boxes (N, 4), x1 y1 x2 y2, of the input in the image, clipped to its edges."""
        points = self.points_to_image(boxes.reshape(-1, 2, 2))
        limits = np.array(self.image) - 0.5
        return np.clip(points, -0.5, limits).reshape(-1, 4)

    def points_to_image(self, points: Boxes) -> Boxes:
        """Return points (..., 2), u v, of the input in the image."""
        return (points - self.corner) * self._stretch - 0.5

    def sizes_to_image(self, sizes: Boxes) -> Boxes:
        """Return widths and heights (..., 2) of the input in the image."""
        return sizes * self._stretch

    def to_input(self, boxes: Boxes) -> Boxes:
        """Return boxes (N, 4), x1 y1 x2 y2, of the image in the input."""
        points = (boxes.reshape(-1, 2, 2) + 0.5) / self._stretch + self.corner
        return points.reshape(-1, 4)

    @property
    def _stretch(self) -> npt.NDArray[np.float64]:
        """Return the pixels of the image per pixel of the input, in x and y."""
        if self.placing is Placing.TOP_LEFT:
            # YOLOX's labels and predictions have one scale, without the rounding of the size.
            return np.full(2, max(np.array(self.image) / self.input))
        return np.array(self.image) / self.scaled
