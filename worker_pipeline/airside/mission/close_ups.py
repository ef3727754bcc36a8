# SPDX-License-Identifier: Apache-2.0
"""Close-ups of every pad: its true position, the position found, and the uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from worker_pipeline.airside.geometry.pinhole import CameraPose, PinholeCamera
from worker_pipeline.airside.mission import symbols
from worker_pipeline.airside.mission.canvas import OVERSAMPLING, Canvas, Point
from worker_pipeline.airside.mission.estimate import Finding
from worker_pipeline.airside.mission.symbols import short_name
from worker_pipeline.airside.simulation.imagery import Orthophoto
from worker_pipeline.airside.simulation.pads import Pad
from worker_pipeline.airside.simulation.renderer import Renderer

_COLUMNS = 10
_MARGIN, _GAP, _TOP, _CAPTION = 32.0, 20.0, 62.0, 48.0  # pixels
_LARGE, _SMALL = 24, 22  # pixels, of letters
# Width of the ground in a close-up, m: minimum, maximum, and the margin around its content.
_MIN_WIDTH, _MAX_WIDTH, _BORDER = 2.0, 20.0, 0.5
_HEIGHT = 200.0  # m: a narrow view from high up is nearly orthographic, like a map
# World from optical frame of a camera that looks straight down, with north up in the image.
_NORTH_UP = np.diag([1.0, -1.0, -1.0])


def close_ups(width: float, ground: Orthophoto, findings: Sequence[Finding]) -> Canvas:
    """Return a strip with a close-up of each pad, all to the same scale.

    Args:
        width: Width of the strip, pixels.
        ground: The photograph.
        findings: The pads and their estimates.
    """
    if not findings:
        return Canvas(width, 0, symbols.PAPER)
    side = math.floor((width - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) / _COLUMNS)
    rows = math.ceil(len(findings) / _COLUMNS)
    strip = Canvas(width, _TOP + rows * (side + _CAPTION) + _MARGIN / 2, symbols.PAPER)
    areas = [_area_of(each) for each in findings]
    wanted = max(high - low for area in areas for low, high in area) + 2 * _BORDER
    metres = min(max(math.ceil(wanted), _MIN_WIDTH), _MAX_WIDTH)
    title = f'Each pad close up, {metres:g} m across, with its error'
    strip.text((_MARGIN, 18), title, _LARGE, symbols.FAINT)
    pads = [finding.pad for finding in findings]
    for place, (finding, area) in enumerate(zip(findings, areas, strict=True)):
        row, column = divmod(place, _COLUMNS)
        corner = (_MARGIN + column * (side + _GAP), _TOP + row * (side + _CAPTION))
        strip.put(_close_up(side, metres, ground, pads, finding, area), corner)
        _caption(strip, (corner[0], corner[1] + side + 5), side, finding)
    return strip


def _area_of(finding: Finding) -> list[tuple[float, float]]:
    """Return the extent (m) in east and north of a pad and of its estimate's ellipse."""
    pad, estimate = finding.pad, finding.estimate
    points = [
        (pad.east + right * pad.size / 2, pad.north + up * pad.size / 2)
        for right in (-1, 1)
        for up in (-1, 1)
    ]
    if estimate is not None:
        points.append(estimate.place)
        if estimate.has_covariance:
            points += [(east, north) for east, north in estimate.ellipse(symbols.PROBABILITY)]
    return [(min(values), max(values)) for values in zip(*points, strict=True)]


def _close_up(
    side: int,
    metres: float,
    ground: Orthophoto,
    pads: Sequence[Pad],
    finding: Finding,
    area: Sequence[tuple[float, float]],
) -> Canvas:
    large = side * OVERSAMPLING
    focal, middle = large * _HEIGHT / metres, (large - 1) / 2
    camera = PinholeCamera(large, large, focal, focal, middle, middle)
    east, north = (sum(edges) / 2 for edges in area)
    pose = CameraPose(np.array([east, north, _HEIGHT]), _NORTH_UP)
    canvas = Canvas(side, side, symbols.PAPER)
    canvas.paste(Renderer(ground, pads, camera).render(pose), (0, 0))

    def spot(place: Point) -> Point:
        u, v = pose.project_points(camera, np.array([[*place, 0.0]]))[0]
        return (u + 0.5) / OVERSAMPLING, (v + 0.5) / OVERSAMPLING

    truth, estimate = spot((finding.pad.east, finding.pad.north)), finding.estimate
    if estimate is not None:
        found = spot(estimate.place)
        if estimate.has_covariance:
            corners = estimate.ellipse(symbols.PROBABILITY)
            symbols.draw_ellipse(canvas, [spot(each) for each in corners])
        canvas.line([truth, found], symbols.WHITE, 2.0)
        symbols.draw_true(canvas, truth)
        symbols.draw_found(canvas, found)
    else:
        symbols.draw_true(canvas, truth)
    return canvas


def _caption(strip: Canvas, corner: Point, side: float, finding: Finding) -> None:
    left, top = corner
    is_missed = finding.error is None
    colour = symbols.BAD if is_missed else symbols.INK
    strip.text((left, top), short_name(finding.pad.label), _LARGE, colour, bold=True)
    error = 'missed' if is_missed else f'{finding.error:.2f} m'
    strip.text((left + side, top + 2), error, _SMALL, colour, anchor='ra')
