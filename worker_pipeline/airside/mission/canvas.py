# SPDX-License-Identifier: Apache-2.0
"""The canvas on which the map is drawn, in pixels of the finished picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.missing import missing_package
from worker_pipeline.airside.common.opencv import cv2

try:
    from PIL import Image, ImageDraw, ImageFont
except ModuleNotFoundError as error:
    raise missing_package(error) from error

Picture = Image.Image
Pixels = npt.NDArray[np.uint8]
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom
Colour = tuple[int, ...]  # red, green, blue, and opacity

# Drawn larger by this factor, then reduced: Pillow does not smooth lines.
OVERSAMPLING = 2


class Canvas:
    """A picture being drawn. Positions and sizes are in pixels; colours may be translucent.

    Args:
        width: of the picture.
        height: of the picture.
        colour: of the background.
    """

    def __init__(self, width: float, height: float, colour: Colour) -> None:
        size = (round(width * OVERSAMPLING), round(height * OVERSAMPLING))
        self._picture = Image.new('RGB', size, colour)
        self._draw = ImageDraw.Draw(self._picture, 'RGBA')

    @property
    def width(self) -> int:
        return self._picture.width // OVERSAMPLING

    @property
    def height(self) -> int:
        return self._picture.height // OVERSAMPLING

    def finished(self) -> Picture:
        """Return the picture, RGB."""
        width, height = self._picture.size
        size = (width // OVERSAMPLING, height // OVERSAMPLING)
        return self._picture.resize(size, Image.Resampling.LANCZOS)

    def paste(self, pixels: Pixels, corner: Point) -> None:
        """Paste an image (H, W, 3), BGR, that is ``OVERSAMPLING`` times its final size."""
        place = (round(corner[0] * OVERSAMPLING), round(corner[1] * OVERSAMPLING))
        self._picture.paste(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)), place)

    def put(self, other: Canvas, corner: Point) -> None:
        """Paste another canvas."""
        place = (round(corner[0] * OVERSAMPLING), round(corner[1] * OVERSAMPLING))
        self._picture.paste(other._picture, place)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """Draw a line through points.

        Args:
            points: Positions, pixels.
            colour: The colour of the line.
            width: Its width, pixels.
        """
        width = max(1, round(width * OVERSAMPLING))
        self._draw.line(_large(points), fill=colour, width=width, joint='curve')

    def polygon(self, points: Sequence[Point], fill: Colour, outline: Colour | None = None) -> None:
        """Draw a filled polygon, with a thin outline if ``outline`` is given.

        Args:
            points: Corners, pixels.
            fill: The colour inside.
            outline: The colour of the outline; None for none.
        """
        self._draw.polygon(_large(points), fill=fill, outline=outline)

    def cross(self, spot: Point, reach: float, colour: Colour, width: float) -> None:
        """Draw an upright cross: +.

        Args:
            spot: Its centre, pixels.
            reach: Length of each arm, pixels.
            colour: The colour of the lines.
            width: Their width, pixels.
        """
        u, v = spot
        self.line([(u - reach, v), (u + reach, v)], colour, width)
        self.line([(u, v - reach), (u, v + reach)], colour, width)

    def saltire(self, spot: Point, reach: float, colour: Colour, width: float) -> None:
        """Draw a diagonal cross: x.

        Args:
            spot: Its centre, pixels.
            reach: Extent of each arm along x and y, pixels.
            colour: The colour of the lines.
            width: Their width, pixels.
        """
        u, v = spot
        self.line([(u - reach, v - reach), (u + reach, v + reach)], colour, width)
        self.line([(u - reach, v + reach), (u + reach, v - reach)], colour, width)

    def disc(self, spot: Point, radius: float, fill: Colour, outline: Colour, width: float) -> None:
        """Draw a disc.

        Args:
            spot: Its centre.
            radius: pixels.
            fill: Its colour.
            outline: Colour of the outline, which is inside the radius.
            width: Width of the outline, pixels.
        """
        around = _large(
            [(spot[0] - radius, spot[1] - radius), (spot[0] + radius, spot[1] + radius)]
        )
        self._draw.ellipse(around, fill=fill, outline=outline, width=round(width * OVERSAMPLING))

    def box(self, edges: Box, fill: Colour, outline: Colour | None = None) -> None:
        """Draw a filled box, with a thin outline if ``outline`` is given.

        Args:
            edges: Left, top, right and bottom, pixels.
            fill: The colour inside.
            outline: The colour of the outline; None for none.
        """
        large = _large([edges[:2], edges[2:]])
        self._draw.rectangle(large, fill=fill, outline=outline, width=OVERSAMPLING)

    def text(
        self,
        spot: Point,
        text: str,
        size: int,
        colour: Colour,
        *,
        halo: Colour | None = None,
        anchor: str = 'la',
        bold: bool = False,
    ) -> None:
        """Draw a line of text.

        Args:
            spot: Where the anchor is.
            text: The text.
            size: Height of the letters, pixels.
            colour: Colour of the letters.
            halo: Colour around the letters.
            anchor: As in Pillow.
            bold: Whether the letters are bold.
        """
        # Bold is a stroke in the same colour: Pillow's own font has one weight.
        stroke = round(0.4 * OVERSAMPLING) if bold else 0
        place = (spot[0] * OVERSAMPLING, spot[1] * OVERSAMPLING)
        font = ImageFont.load_default(size * OVERSAMPLING)
        if halo is not None:
            around = stroke + 2 * OVERSAMPLING
            self._draw.text(place, text, halo, font, anchor, stroke_width=around, stroke_fill=halo)
        self._draw.text(place, text, colour, font, anchor, stroke_width=stroke, stroke_fill=colour)


def text_size(text: str, size: int) -> tuple[float, float]:
    """Return width and height of a line of text, without a halo."""
    font = ImageFont.load_default(size * OVERSAMPLING)
    left, top, right, bottom = font.getbbox(text, anchor='la')
    return (right - min(left, 0)) / OVERSAMPLING, (bottom - min(top, 0)) / OVERSAMPLING


def _large(points: Sequence[Point]) -> list[Point]:
    return [(u * OVERSAMPLING, v * OVERSAMPLING) for u, v in points]
