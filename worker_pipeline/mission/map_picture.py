"""The map: the photograph with the flight, the pads as they are, and as they were found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worker_pipeline.airside.pinhole import CameraPose, PinholeCamera
from worker_pipeline.airside.records import NO_LABEL
from worker_pipeline.mission.assessment import Assessment, Finding, name_of
from worker_pipeline.simulation.imagery import Orthophoto
from worker_pipeline.simulation.renderer import Renderer

Picture = Image.Image
Point = tuple[float, float]

_WIDTH = 1500  # pixels, of the photograph in the finished picture
_PANEL = 400  # pixels, of the panel beside it
_OVERSAMPLING = 2  # drawn so much larger, then reduced: Pillow's lines are not smooth of themselves

_CLOSE_UP_COLUMNS, _CLOSE_UP_SIDE = 3, 105  # pixels
_CLOSE_UP_METRES, _CLOSE_UP_HEIGHT = 2.0, 200.0
# World from optical frame of a camera that looks straight down, the top of its image north.
_NORTH_UP = np.diag([1.0, -1.0, -1.0])

_PAPER, _INK, _FAINT = (250, 249, 246), (33, 37, 41), (120, 126, 132)
_TRACK, _TRUE, _FOUND, _KILL = (255, 255, 255), (255, 214, 10), (0, 119, 255), (230, 30, 40)
_MISSED = (230, 30, 40)


def draw_map(
    ground: Orthophoto, result: Assessment, track: Sequence[Point], kill: Point | None
) -> Picture:
    """The picture, RGB. ``track`` and ``kill`` (where a worker was killed): m, east and north."""
    drawing = _Drawing(ground)
    drawing.track(track)
    if kill is not None:
        drawing.kill(kill)
    for finding in result.findings:
        drawing.pad(finding)
    for estimate in result.invented:
        drawing.invented((estimate.east, estimate.north))
    drawing.scale_bar()
    drawing.panel(result, kill is not None)
    drawing.close_ups(ground, result)
    return drawing.finished()


class _Drawing:
    """A canvas with the photograph at its left, drawn on in metres or in finished pixels."""

    def __init__(self, ground: Orthophoto) -> None:
        height, width = ground.pixels.shape[:2]
        self._large = _OVERSAMPLING
        scale = _WIDTH / width
        self._height = round(height * scale)
        size = (_WIDTH * self._large, self._height * self._large)
        shrink = cv2.INTER_AREA if size[0] < width else cv2.INTER_CUBIC
        enlarged = cv2.resize(ground.pixels, size, interpolation=shrink)
        # A little paler than it was: what is drawn on it is what is to be seen.
        photograph = cv2.addWeighted(enlarged, 0.86, np.full_like(enlarged, 255), 0.14, 0)
        self._canvas = Image.new('RGB', (size[0] + _PANEL * self._large, size[1]), _PAPER)
        self._canvas.paste(Image.fromarray(cv2.cvtColor(photograph, cv2.COLOR_BGR2RGB)), (0, 0))
        self._draw = ImageDraw.Draw(self._canvas)
        self._pixel_from_ground = np.linalg.inv(ground.ground_from_pixel)
        self._scale = scale
        self._pixels_per_metre = scale / ground.metres_per_pixel

    def finished(self) -> Picture:
        size = (self._canvas.width // self._large, self._canvas.height // self._large)
        return self._canvas.resize(size, Image.Resampling.LANCZOS)

    def track(self, track: Sequence[Point]) -> None:
        points = [self._place(each) for each in track[::2]]
        if len(points) < 2:
            return
        self._line(points, (0, 0, 0), 5.0)
        self._line(points, _TRACK, 2.5)
        for index in range(len(points) // 8, len(points), len(points) // 4):
            self._arrow(points[index - 1], points[min(index + 1, len(points) - 1)])
        self._disc(points[0], 7, _TRACK, _INK)
        self._text((points[0][0] + 12, points[0][1] - 9), 'start', 17, _TRACK, outlined=True)
        self._text((points[-1][0] + 12, points[-1][1] - 9), 'end', 17, _TRACK, outlined=True)
        self._disc(points[-1], 7, _INK, _TRACK)

    def kill(self, place: Point) -> None:
        u, v = self._place(place)
        self._cross((u, v), 9, (0, 0, 0), 7.0)
        self._cross((u, v), 9, _KILL, 4.0)
        self._text((u + 15, v - 10), 'worker killed here', 17, _TRACK, outlined=True)

    def pad(self, finding: Finding) -> None:
        pad, estimate = finding.pad, finding.estimate
        u, v = self._place((pad.east, pad.north))
        self._ring((u, v), 13, (0, 0, 0), 6.0)
        self._ring((u, v), 13, _TRUE if estimate else _MISSED, 3.0)
        if estimate is not None:
            spot = self._place((estimate.east, estimate.north))
            self._cross(spot, 6, (255, 255, 255), 5.0, upright=True)
            self._cross(spot, 6, _FOUND, 2.6, upright=True)
        name = 'H' if pad.label == NO_LABEL else str(pad.label)
        self._text((u + 19, v - 21), name, 21, (255, 255, 255), outlined=True, bold=True)
        below = 'missed' if finding.error is None else f'{finding.error * 100:.1f} cm'
        self._text((u + 19, v + 2), below, 16, (255, 255, 255), outlined=True)

    def invented(self, place: Point) -> None:
        self._cross(self._place(place), 9, _MISSED, 4.0, upright=True)

    def scale_bar(self) -> None:
        metres = 50
        length = metres * self._pixels_per_metre
        left, bottom = 32.0, self._height - 36.0
        self._box((left - 14, bottom - 44, left + length + 14, bottom + 16), _PAPER)
        for part in range(5):
            begin = left + part * length / 5
            colour = _INK if part % 2 == 0 else (255, 255, 255)
            self._box((begin, bottom - 8, begin + length / 5, bottom), colour, _INK)
        self._text((left - 4, bottom - 36), '0', 18, _INK)
        self._text((left + length, bottom - 36), f'{metres} m', 18, _INK, anchor='ra')
        top, middle = 30.0, _WIDTH - 46.0
        self._box((middle - 28, top - 12, middle + 28, top + 76), _PAPER)
        self._polygon([(middle, top + 24), (middle - 13, top + 66), (middle, top + 56)], _INK)
        self._polygon(
            [(middle, top + 24), (middle + 13, top + 66), (middle, top + 56)], (255, 255, 255), _INK
        )
        self._text((middle, top - 6), 'N', 22, _INK, anchor='ma', bold=True)

    def panel(self, result: Assessment, killed: bool) -> None:
        left, top = _WIDTH + 30.0, 34.0
        self._text((left, top), 'Survey of landing pads', 30, _INK, bold=True)
        self._text((left, top + 42), 'found in flight by worker_pipeline', 18, _FAINT)
        top = self._legend(left, top + 92, killed)
        top = self._pads(left, top + 26, result)
        self._flight(left, top + 26, result)

    def close_ups(self, ground: Orthophoto, result: Assessment) -> None:
        """Every pad from straight above, with the place where it was found."""
        pads = [finding.pad for finding in result.findings]
        rows = math.ceil(len(pads) / _CLOSE_UP_COLUMNS)
        step = _CLOSE_UP_SIDE + 12
        left, top = _WIDTH + 30.0, self._height - 66.0 - rows * step
        text = f'each pad close up, {_CLOSE_UP_METRES:g} m across'
        self._text((left, top - 30), text, 17, _FAINT)
        side = _CLOSE_UP_SIDE * self._large
        # A narrow camera high up sees what a map shows.
        focal = side * _CLOSE_UP_HEIGHT / _CLOSE_UP_METRES
        middle = (side - 1) / 2
        camera = PinholeCamera(side, side, focal, focal, middle, middle)
        renderer = Renderer(ground, pads, camera)
        for place, finding in enumerate(result.findings):
            row, column = divmod(place, _CLOSE_UP_COLUMNS)
            corner = (left + column * step, top + row * step)
            pose = CameraPose(
                np.array([finding.pad.east, finding.pad.north, _CLOSE_UP_HEIGHT]), _NORTH_UP
            )
            pixels = cv2.cvtColor(renderer.render(pose), cv2.COLOR_BGR2RGB)
            spot = (round(corner[0] * self._large), round(corner[1] * self._large))
            self._canvas.paste(Image.fromarray(pixels), spot)
            if finding.estimate is not None:
                found = [[finding.estimate.east, finding.estimate.north, 0.0]]
                u, v = pose.pixels_of(camera, np.array(found))[0] / self._large
                self._cross((corner[0] + u, corner[1] + v), 9, (255, 255, 255), 4.0, upright=True)
                self._cross((corner[0] + u, corner[1] + v), 9, _FOUND, 2.0, upright=True)

    def _legend(self, left: float, top: float, killed: bool) -> float:
        middle = left + 16
        entries = [('flight track', self._legend_track), ('pad, where it is', self._legend_true)]
        entries.append(('pad, as found', self._legend_found))
        if killed:
            entries.append(('a detection worker is killed', self._legend_kill))
        for text, symbol in entries:
            symbol((middle, top + 12))
            self._text((left + 44, top), text, 19, _INK)
            top += 34
        return top

    def _legend_track(self, spot: Point) -> None:
        ends = [(spot[0] - 15, spot[1]), (spot[0] + 15, spot[1])]
        self._line(ends, (0, 0, 0), 6.0)
        self._line(ends, _TRACK, 3.0)

    def _legend_true(self, spot: Point) -> None:
        self._ring(spot, 12, (0, 0, 0), 6.0)
        self._ring(spot, 12, _TRUE, 3.0)

    def _legend_found(self, spot: Point) -> None:
        self._cross(spot, 8, _FOUND, 3.0, upright=True)

    def _legend_kill(self, spot: Point) -> None:
        self._cross(spot, 9, _KILL, 4.0)

    def _pads(self, left: float, top: float, result: Assessment) -> float:
        right = left + _PANEL - 60
        self._rule(left, right, top)
        self._text((left, top + 14), 'pad', 17, _FAINT)
        self._text((right - 110, top + 14), 'sightings', 17, _FAINT, anchor='ra')
        self._text((right, top + 14), 'error', 17, _FAINT, anchor='ra')
        top += 44
        for finding in result.findings:
            estimate = finding.estimate
            colour = _INK if estimate else _MISSED
            name = name_of(finding.pad.label) + (' (H)' if finding.pad.label == NO_LABEL else '')
            self._text((left, top), name, 20, colour)
            seen = str(estimate.sightings) if estimate else '0'
            self._text((right - 110, top), seen, 20, colour, anchor='ra')
            error = 'missed' if finding.error is None else f'{finding.error * 100:.1f} cm'
            self._text((right, top), error, 20, colour, anchor='ra', bold=True)
            top += 32
        return top

    def _flight(self, left: float, top: float, result: Assessment) -> None:
        right = left + _PANEL - 60
        self._rule(left, right, top)
        books, latency = result.accounting, result.latency
        rows = [
            ('frames in', str(books.frames_in)),
            ('frames answered', str(books.answered)),
            ('frames dropped', str(books.dropped)),
            ('workers replaced', str(result.replacements)),
        ]
        if latency.median is not None and latency.p99 is not None:
            rows.append(('latency, median', f'{latency.median * 1e3:.0f} ms'))
            rows.append(('latency, 99th percentile', f'{latency.p99 * 1e3:.0f} ms'))
        top += 16
        for name, value in rows:
            self._text((left, top), name, 19, _INK)
            self._text((right, top), value, 19, _INK, anchor='ra', bold=True)
            top += 31
        source = 'photograph: NEON, Yellowstone, 2019'
        self._text((left, self._height - 44.0), source, 15, _FAINT)

    def _place(self, ground: Point) -> Point:
        """Finished pixels of a place on the ground (m)."""
        u, v, _ = self._pixel_from_ground @ [ground[0], ground[1], 1.0]
        return (float(u + 0.5) * self._scale, float(v + 0.5) * self._scale)

    def _line(self, points: Sequence[Point], colour: Any, width: float) -> None:
        large = [(u * self._large, v * self._large) for u, v in points]
        self._draw.line(large, fill=colour, width=round(width * self._large), joint='curve')

    def _arrow(self, begin: Point, end: Point) -> None:
        angle = math.atan2(end[1] - begin[1], end[0] - begin[0])
        tip = (end[0] + 9 * math.cos(angle), end[1] + 9 * math.sin(angle))
        wings = [
            (tip[0] + 20 * math.cos(angle + turn), tip[1] + 20 * math.sin(angle + turn))
            for turn in (math.pi - 0.45, math.pi + 0.45)
        ]
        self._polygon([tip, *wings], _TRACK, (0, 0, 0))

    def _polygon(self, points: Sequence[Point], fill: Any, outline: Any = None) -> None:
        large = [(u * self._large, v * self._large) for u, v in points]
        self._draw.polygon(large, fill=fill, outline=outline)

    def _cross(
        self, spot: Point, reach: float, colour: Any, width: float, upright: bool = False
    ) -> None:
        u, v = spot
        if upright:
            self._line([(u - reach, v), (u + reach, v)], colour, width)
            self._line([(u, v - reach), (u, v + reach)], colour, width)
        else:
            self._line([(u - reach, v - reach), (u + reach, v + reach)], colour, width)
            self._line([(u - reach, v + reach), (u + reach, v - reach)], colour, width)

    def _ring(self, spot: Point, radius: float, colour: Any, width: float) -> None:
        outer = radius + width / 2
        self._draw.ellipse(
            self._around(spot, outer), outline=colour, width=round(width * self._large)
        )

    def _disc(self, spot: Point, radius: float, fill: Any, outline: Any) -> None:
        self._draw.ellipse(
            self._around(spot, radius), fill=fill, outline=outline, width=2 * self._large
        )

    def _around(self, spot: Point, radius: float) -> list[Point]:
        u, v = spot[0] * self._large, spot[1] * self._large
        reach = radius * self._large
        return [(u - reach, v - reach), (u + reach, v + reach)]

    def _box(
        self, edges: tuple[float, float, float, float], fill: Any, outline: Any = None
    ) -> None:
        large = [edge * self._large for edge in edges]
        self._draw.rectangle(large, fill=fill, outline=outline, width=self._large)

    def _rule(self, left: float, right: float, top: float) -> None:
        self._line([(left, top), (right, top)], (205, 205, 200), 1.0)

    def _text(
        self,
        spot: Point,
        text: str,
        size: int,
        colour: Any,
        outlined: bool = False,
        anchor: str = 'la',
        bold: bool = False,
    ) -> None:
        # Bold is a stroke of the letters' own colour: the one font Pillow brings along has one cut.
        stroke = 2 * self._large if outlined else round(0.35 * self._large) if bold else 0
        self._draw.text(
            (spot[0] * self._large, spot[1] * self._large),
            text,
            font=ImageFont.load_default(size * self._large),
            fill=colour,
            anchor=anchor,
            stroke_width=stroke,
            stroke_fill=(0, 0, 0) if outlined else colour,
        )
