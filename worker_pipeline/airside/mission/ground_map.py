# SPDX-License-Identifier: Apache-2.0
"""The photograph of the ground with the flight and the pads drawn on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.mission import symbols
from worker_pipeline.airside.mission.assessment import Assessment
from worker_pipeline.airside.mission.canvas import OVERSAMPLING, Canvas, Point, text_size
from worker_pipeline.airside.mission.coverage import coverage_mask, dim_outside, outlines
from worker_pipeline.airside.mission.estimate import Estimate, Finding
from worker_pipeline.airside.mission.label_layout import LabelLayout
from worker_pipeline.airside.simulation.imagery import Orthophoto

WIDTH = 1400  # pixels, in the finished picture

_EDGE = 10.0  # pixels that labels keep from the edge
_STEP = 0.5  # m, minimum between two points of the drawn track, so that hovering adds none
_ARROW_EVERY = 80.0  # m
_BAR = 50  # m
_DOT, _RING, _CROSS = 8.0, 15.0, 11.0  # pixels, radii of symbols
_CLEAR = 30.0  # pixels between an arrow and other symbols of the track
_LARGE, _SMALL = 25, 21  # pixels, of letters

# Text, its size, and whether it is bold.
_Line = tuple[str, int, bool]


def ground_map(
    ground: Orthophoto,
    result: Assessment,
    track: Sequence[Point],
    kills: Sequence[tuple[str, Point]],
    footprints: Vector,
) -> Canvas:
    """Draw the map on the photograph.

    Args:
        ground: the photograph.
        result: the assessment of the mission.
        track: the positions of the drone.
        kills: the stage of each killed worker, and where the drone was.
        footprints: where the camera looked.
    """
    drawing = _GroundMap(ground, footprints)
    line = [drawing.spot(each) for each in _thinned(track)]
    false_targets = [each for each in result.false_targets if each.has_place]
    deaths = [(stage, drawing.spot(place)) for stage, place in kills]
    estimates = [each.estimate for each in result.findings if each.estimate is not None]
    drawing.track(line, [spot for _, spot in deaths])
    for estimate in [*estimates, *false_targets]:
        drawing.ellipse(estimate)
    for finding in result.findings:
        drawing.pad(finding)
    for estimate in false_targets:
        drawing.false_targets(estimate)
    for _, spot in deaths:
        symbols.draw_kill(drawing.canvas, spot)
    _label(drawing, result.findings, false_targets, line, deaths)
    return drawing.canvas


def _label(
    drawing: _GroundMap,
    findings: Sequence[Finding],
    false_targets: Sequence[Estimate],
    line: Sequence[Point],
    deaths: Sequence[tuple[str, Point]],
) -> None:
    """Draw all labels last, so that none covers a symbol."""
    labels: list[tuple[Point, float, Sequence[_Line]]] = []
    for finding in findings:
        error = 'missed' if finding.error is None else f'{finding.error:.2f} m'
        lines = [(symbols.short_name(finding.pad.label), _LARGE, True), (error, _SMALL, False)]
        labels.append((*drawing.reach(finding), lines))
    for estimate in false_targets:
        spot = drawing.spot(estimate.place)
        labels.append((spot, _CROSS, [(f'{estimate.name}?', _SMALL, True)]))
    labels += [(spot, _CROSS, [(stage, _SMALL, False)]) for stage, spot in deaths]
    if len(line) > 1:
        labels.append((line[0], _DOT, [('start', _SMALL, False)]))
        labels.append((line[-1], _DOT, [('end', _SMALL, False)]))
    edges = (_EDGE, _EDGE, WIDTH - _EDGE, drawing.canvas.height - _EDGE)
    places = LabelLayout(edges, line)
    for box in (drawing.scale_bar(), drawing.north()):
        places.reserve(box)
    for spot, radius, _ in labels:
        places.reserve_spot(spot, radius)
    for spot, radius, text in labels:
        drawing.text(places, spot, radius, text)


class _GroundMap:
    """A canvas with the ground on it; positions are in metres."""

    def __init__(self, ground: Orthophoto, footprints: Vector) -> None:
        rows, columns = ground.pixels.shape[:2]
        self._scale = WIDTH / columns
        self._pixel_from_ground = np.linalg.inv(ground.ground_from_pixel)
        self._pixels_per_metre = self._scale / ground.metres_per_pixel
        self.canvas = Canvas(WIDTH, round(rows * self._scale), symbols.PAPER)
        size = (self.canvas.width * OVERSAMPLING, self.canvas.height * OVERSAMPLING)
        shrink = cv2.INTER_AREA if size[0] < columns else cv2.INTER_CUBIC
        pixels = np.asarray(cv2.resize(ground.pixels, size, interpolation=shrink), np.uint8)
        if len(footprints):
            mask = coverage_mask(self._spots(footprints) * OVERSAMPLING, size[1], size[0])
            pixels = dim_outside(pixels, mask)
            edges = outlines(mask)
        else:
            edges = []
        self.canvas.paste(pixels, (0, 0))
        for edge in edges:
            symbols.draw_edge(self.canvas, [(u, v) for u, v in edge / OVERSAMPLING])

    def spot(self, place: Point) -> Point:
        """Return the pixel of a position on the ground (m)."""
        u, v = self._spots(np.array(place))
        return float(u), float(v)

    def reach(self, finding: Finding) -> tuple[Point, float]:
        """Return the centre and radius (pixels) of a circle around all symbols of a pad."""
        u, v = self.spot((finding.pad.east, finding.pad.north))
        corners = [(u - _DOT, v - _DOT), (u + _DOT, v + _DOT)]
        if finding.estimate is not None and finding.estimate.has_covariance:
            corners += map(self.spot, finding.estimate.ellipse(symbols.PROBABILITY))
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        u, v = (low + high) / 2
        return (float(u), float(v)), max(_RING, float(max(high - low)) / 2)

    def track(self, line: Sequence[Point], deaths: Sequence[Point]) -> None:
        """Draw the track. ``deaths``: pixels where arrows would be in the way."""
        if len(line) < 2:
            return
        symbols.draw_track(self.canvas, line)
        every = round(_ARROW_EVERY / _STEP)
        crowded = [line[0], line[-1], *deaths]
        for first in range(every // 2, len(line) - 1, every):
            for index in range(first, min(first + every // 2, len(line) - 1)):
                if all(math.dist(line[index], spot) > _CLEAR for spot in crowded):
                    symbols.draw_arrow(self.canvas, line[index - 1], line[index + 1])
                    break
        self.canvas.disc(line[0], 7.5, symbols.WHITE, symbols.BLACK, 2.0)
        self.canvas.disc(line[-1], 7.5, symbols.INK, symbols.WHITE, 2.0)

    def ellipse(self, estimate: Estimate) -> None:
        if estimate.has_covariance:
            corners = estimate.ellipse(symbols.PROBABILITY)
            symbols.draw_ellipse(self.canvas, [self.spot(each) for each in corners])

    def pad(self, finding: Finding) -> None:
        spot = self.spot((finding.pad.east, finding.pad.north))
        if finding.estimate is None:
            symbols.draw_missed(self.canvas, spot)
        else:
            symbols.draw_true(self.canvas, spot)
            symbols.draw_found(self.canvas, self.spot(finding.estimate.place))

    def false_targets(self, estimate: Estimate) -> None:
        symbols.draw_false_target(self.canvas, self.spot(estimate.place))

    def text(self, places: LabelLayout, spot: Point, radius: float, lines: Sequence[_Line]) -> None:
        """Draw lines of text at a free position beside a symbol."""
        sizes = [text_size(text, size) for text, size, _ in lines]
        width, height = max(width for width, _ in sizes), sum(height for _, height in sizes)
        left, top, right, _ = places.place(spot, radius, (width, height))
        on_the_left = right < spot[0]
        for (text, size, bold), (_, tall) in zip(lines, sizes, strict=True):
            at = (right if on_the_left else left, top)
            anchor = 'ra' if on_the_left else 'la'
            self.canvas.text(
                at, text, size, symbols.WHITE, halo=symbols.BLACK, anchor=anchor, bold=bold
            )
            top += tall

    def scale_bar(self) -> tuple[float, float, float, float]:
        """Draw the scale bar; return the box that it covers."""
        length = _BAR * self._pixels_per_metre
        left, bottom = 34.0, self.canvas.height - 36.0
        box = (left - 16, bottom - 46, left + length + 16, bottom + 16)
        self.canvas.box(box, symbols.PAPER)
        for part in range(5):
            begin = left + part * length / 5
            colour = symbols.WHITE if part % 2 else symbols.INK
            self.canvas.box((begin, bottom - 8, begin + length / 5, bottom), colour, symbols.INK)
        self.canvas.text((left - 4, bottom - 38), '0', _SMALL, symbols.INK)
        end = (left + length + 4, bottom - 38)
        self.canvas.text(end, f'{_BAR} m', _SMALL, symbols.INK, anchor='ra')
        return box

    def north(self) -> tuple[float, float, float, float]:
        """Draw the north arrow; return the box that it covers."""
        middle, top = WIDTH - 48.0, 32.0
        box = (middle - 30, top - 12, middle + 30, top + 80)
        self.canvas.box(box, symbols.PAPER)
        tip, notch = (middle, top + 24), (middle, top + 58)
        for side, fill in ((-14, symbols.INK), (14, symbols.WHITE)):
            self.canvas.polygon([tip, (middle + side, top + 70), notch], fill, symbols.INK)
        self.canvas.text((middle, top - 6), 'N', _LARGE, symbols.INK, anchor='ma', bold=True)
        return box

    def _spots(self, places: Vector) -> Vector:
        """Return the pixels of positions on the ground (..., 2), m."""
        matrix = self._pixel_from_ground
        spots: Vector = (places @ matrix[:2, :2].T + matrix[:2, 2] + 0.5) * self._scale
        return spots


def _thinned(track: Sequence[Point]) -> list[Point]:
    """Return a track without points that are too close to the one before."""
    kept: list[Point] = []
    for point in track:
        if not kept or math.dist(point, kept[-1]) >= _STEP:
            kept.append(point)
    return kept
