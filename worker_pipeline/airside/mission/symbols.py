# SPDX-License-Identifier: Apache-2.0
"""The symbols of the map, of the close-ups and of the legend."""

from __future__ import annotations

import math
from collections.abc import Sequence

from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.mission.canvas import Canvas, Point

PAPER, INK, FAINT, RULE = (250, 249, 246), (33, 37, 41), (112, 118, 124), (205, 205, 200)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
TRUE, FOUND, BAD = (255, 214, 10), (0, 119, 255), (230, 30, 40)
_VEIL = (*FOUND, 56)

PROBABILITY = 0.95  # of a pad to be within its ellipse


def short_name(label: int) -> str:
    """Return the label beside a pad: its marker's number, or the letter on it."""
    return 'H' if label == NO_LABEL else str(label)


def draw_true(canvas: Canvas, spot: Point) -> None:
    """Draw the true position of a pad."""
    canvas.disc(spot, 6.5, TRUE, BLACK, 1.8)


def draw_missed(canvas: Canvas, spot: Point) -> None:
    """Draw a pad that was not found."""
    canvas.disc(spot, 15.0, (0, 0, 0, 0), BLACK, 6.0)
    canvas.disc(spot, 14.0, (0, 0, 0, 0), BAD, 4.0)
    draw_true(canvas, spot)


def draw_ellipse(canvas: Canvas, corners: Sequence[Point]) -> None:
    """Draw the confidence ellipse of an estimate."""
    closed = [*corners, *corners[:2]]
    canvas.polygon(corners, _VEIL)
    canvas.line(closed, WHITE, 3.6)
    canvas.line(closed, FOUND, 2.0)


def draw_found(canvas: Canvas, spot: Point) -> None:
    """Draw the position found for a pad."""
    canvas.cross(spot, 8.0, WHITE, 5.0)
    canvas.cross(spot, 7.0, FOUND, 2.6)


def draw_false_target(canvas: Canvas, spot: Point) -> None:
    """Draw a target that is not a pad."""
    canvas.cross(spot, 11.0, WHITE, 6.5)
    canvas.cross(spot, 10.0, BAD, 4.0)


def draw_kill(canvas: Canvas, spot: Point) -> None:
    """Draw the position of a kill."""
    canvas.saltire(spot, 9.5, BLACK, 7.5)
    canvas.saltire(spot, 9.0, BAD, 4.5)


def draw_track(canvas: Canvas, points: Sequence[Point]) -> None:
    """Draw the track."""
    canvas.line(points, BLACK, 5.0)
    canvas.line(points, WHITE, 2.5)


def draw_arrow(canvas: Canvas, begin: Point, end: Point) -> None:
    """Draw an arrowhead on the track, pointing from ``begin`` to ``end``.

    Args:
        canvas: The canvas to draw on.
        begin: A point of the track, pixels.
        end: The position of the arrowhead, pixels.
    """
    angle = math.atan2(end[1] - begin[1], end[0] - begin[0])
    tip = (end[0] + 11 * math.cos(angle), end[1] + 11 * math.sin(angle))
    wings = [
        (tip[0] + 22 * math.cos(angle + turn), tip[1] + 22 * math.sin(angle + turn))
        for turn in (math.pi - 0.45, math.pi + 0.45)
    ]
    canvas.polygon([tip, *wings], WHITE, BLACK)


def draw_edge(canvas: Canvas, points: Sequence[Point]) -> None:
    """Draw the outline of the ground that was seen."""
    canvas.line([*points, *points[:2]], (255, 255, 255, 170), 1.5)
