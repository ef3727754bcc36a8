# SPDX-License-Identifier: Apache-2.0
"""Landing pads: their appearance, and their layout in the reference survey."""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.messages.records import NO_LABEL

Pixels = npt.NDArray[np.uint8]

DICTIONARY = cv2.aruco.DICT_4X4_50
# The marker's share of its board; the white rest is the margin that detectors need.
_MARKER_SHARE = 0.8
# Cells of the marker across, black border included, and pixels per cell of the drawing.
_CELLS = 6
_CELL_PIXELS = 40


@attrs.frozen
class Pad:
    """A landing pad on the ground.

    ``label``: number of its marker, or ``NO_LABEL`` for a round orange pad without one. ``east``,
    ``north``: m, its centre. ``heading``: rad, counter-clockwise from east. ``size``: m, width.
    """

    label: int
    east: float
    north: float
    heading: float = 0.0
    size: float = 1.2

    @property
    def ground_from_texture(self) -> npt.NDArray[np.float64]:
        """Return the 3x3 matrix from pixels of :meth:`texture` to ``(east, north, 1)``, m."""
        side = self.texture()[0].shape[0]
        scale = self.size / side
        cosine, sine = scale * np.cos(self.heading), scale * np.sin(self.heading)
        turn = np.array([[cosine, sine], [sine, -cosine]])
        middle = np.array([self.east, self.north]) - turn @ np.full(2, (side - 1) / 2)
        return np.vstack([np.column_stack([turn, middle]), [0.0, 0.0, 1.0]])

    def texture(self) -> tuple[Pixels, Pixels]:
        """Return the pad seen from above: pixels (S, S, 3), BGR, and their opacity (S, S)."""
        return _disc() if self.label == NO_LABEL else _board(self.label)


@functools.lru_cache(maxsize=64)
def _board(label: int) -> tuple[Pixels, Pixels]:
    """Return a white square board with an ArUco marker."""
    marker_side = _CELLS * _CELL_PIXELS
    side = round(marker_side / _MARKER_SHARE)
    dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARY)
    opencv: Any = cv2.aruco
    # Before OpenCV 4.7, as in Ubuntu 24.04, the function had another name.
    draw = getattr(opencv, 'generateImageMarker', None) or opencv.drawMarker
    marker = draw(dictionary, label, marker_side)
    board = np.full((side, side), 235, dtype=np.uint8)
    begin = (side - marker_side) // 2
    board[begin : begin + marker_side, begin : begin + marker_side] = np.clip(marker, 25, 235)
    return np.dstack([board] * 3), np.full((side, side), 255, dtype=np.uint8)


@functools.lru_cache(maxsize=1)
def _disc() -> tuple[Pixels, Pixels]:
    """Return a round orange pad with an H in a ring, like foldable pads."""
    side = 300
    middle = (side // 2, side // 2)
    orange, white = (20, 105, 245), (235, 235, 235)
    disc = np.full((side, side, 3), orange, dtype=np.uint8)
    cv2.circle(disc, middle, round(0.38 * side), white, round(0.03 * side), cv2.LINE_AA)
    for u in (-0.11, 0.11):
        ends = [(middle[0] + round(u * side), middle[1] + round(v * side)) for v in (-0.17, 0.17)]
        cv2.line(disc, ends[0], ends[1], white, round(0.05 * side), cv2.LINE_AA)
    bar = [(middle[0] + round(u * side), middle[1]) for u in (-0.11, 0.11)]
    cv2.line(disc, bar[0], bar[1], white, round(0.05 * side), cv2.LINE_AA)
    opaque = np.zeros((side, side), dtype=np.uint8)
    cv2.circle(opaque, middle, side // 2 - 2, 255, -1, cv2.LINE_AA)
    return disc, opaque


# Placed manually on open ground of the photograph (imagery.py), with some in view of each lane.
REFERENCE_PADS: tuple[Pad, ...] = (
    Pad(label=3, east=-60.0, north=42.0, heading=0.35),
    Pad(label=7, east=-17.0, north=0.0, heading=1.9),
    Pad(label=11, east=-32.0, north=57.5, heading=-0.8),
    Pad(label=14, east=-8.0, north=-38.0, heading=0.9),
    Pad(label=19, east=-31.0, north=-28.0, heading=2.6),
    Pad(label=23, east=33.0, north=56.0, heading=-2.2),
    Pad(label=28, east=21.0, north=-63.0, heading=0.15),
    Pad(label=34, east=57.0, north=52.0, heading=1.2),
    Pad(label=NO_LABEL, east=-57.0, north=14.0, heading=0.6),
    Pad(label=NO_LABEL, east=12.0, north=-22.0, heading=-0.4),
)
