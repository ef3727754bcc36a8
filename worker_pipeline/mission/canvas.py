"""A canvas on which the map is drawn, in pixels of the finished picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Picture = Image.Image
Pixels = npt.NDArray[np.uint8]
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom
Colour = tuple[int, ...]  # red, green, blue, and how opaque

# Drawn so much larger, then reduced: Pillow's lines are not smooth of themselves.
OVERSAMPLING = 2


class Canvas:
    """A picture being drawn. Places and sizes are in pixels; colours may be translucent."""

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
        """The picture, RGB."""
        width, height = self._picture.size
        size = (width // OVERSAMPLING, height // OVERSAMPLING)
        return self._picture.resize(size, Image.Resampling.LANCZOS)

    def paste(self, pixels: Pixels, corner: Point) -> None:
        """Put in an image (H, W, 3), BGR, ``OVERSAMPLING`` times as large as it will be."""
        place = (round(corner[0] * OVERSAMPLING), round(corner[1] * OVERSAMPLING))
        self._picture.paste(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)), place)

    def put(self, other: Canvas, corner: Point) -> None:
        """Put in another canvas."""
        place = (round(corner[0] * OVERSAMPLING), round(corner[1] * OVERSAMPLING))
        self._picture.paste(other._picture, place)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line through these points."""
        width = max(1, round(width * OVERSAMPLING))
        self._draw.line(_large(points), fill=colour, width=width, joint='curve')

    def polygon(self, points: Sequence[Point], fill: Colour, outline: Colour | None = None) -> None:
        """Filled, and with a fine outline, if there is a colour for it."""
        self._draw.polygon(_large(points), fill=fill, outline=outline)

    def cross(self, spot: Point, reach: float, colour: Colour, width: float) -> None:
        """Upright: +."""
        u, v = spot
        self.line([(u - reach, v), (u + reach, v)], colour, width)
        self.line([(u, v - reach), (u, v + reach)], colour, width)

    def saltire(self, spot: Point, reach: float, colour: Colour, width: float) -> None:
        """A cross that lies: x."""
        u, v = spot
        self.line([(u - reach, v - reach), (u + reach, v + reach)], colour, width)
        self.line([(u - reach, v + reach), (u + reach, v - reach)], colour, width)

    def disc(self, spot: Point, radius: float, fill: Colour, outline: Colour, width: float) -> None:
        """A disc with an outline, which lies inside of it."""
        around = _large(
            [(spot[0] - radius, spot[1] - radius), (spot[0] + radius, spot[1] + radius)]
        )
        self._draw.ellipse(around, fill=fill, outline=outline, width=round(width * OVERSAMPLING))

    def box(self, edges: Box, fill: Colour, outline: Colour | None = None) -> None:
        """Filled, and with a fine outline, if there is a colour for it."""
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
        """Text at a spot; ``anchor`` as Pillow has it, ``halo`` around the letters."""
        # Bold is a stroke of the letters' own colour: the one font Pillow brings along has one cut.
        stroke = round(0.4 * OVERSAMPLING) if bold else 0
        place = (spot[0] * OVERSAMPLING, spot[1] * OVERSAMPLING)
        font = ImageFont.load_default(size * OVERSAMPLING)
        if halo is not None:
            around = stroke + 2 * OVERSAMPLING
            self._draw.text(place, text, halo, font, anchor, stroke_width=around, stroke_fill=halo)
        self._draw.text(place, text, colour, font, anchor, stroke_width=stroke, stroke_fill=colour)


def text_size(text: str, size: int) -> tuple[float, float]:
    """Width and height that a line of text takes, without a halo."""
    font = ImageFont.load_default(size * OVERSAMPLING)
    left, top, right, bottom = font.getbbox(text, anchor='la')
    return (right - min(left, 0)) / OVERSAMPLING, (bottom - min(top, 0)) / OVERSAMPLING


def _large(points: Sequence[Point]) -> list[Point]:
    return [(u * OVERSAMPLING, v * OVERSAMPLING) for u, v in points]
