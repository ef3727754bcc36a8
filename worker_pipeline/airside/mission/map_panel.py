# SPDX-License-Identifier: Apache-2.0
"""The panel beside the map: legend, pads, and results of the flight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.mission import symbols
from worker_pipeline.airside.mission.assessment import Assessment
from worker_pipeline.airside.mission.canvas import Canvas, Colour, Point
from worker_pipeline.airside.mission.estimate import Estimate, pad_name

PANEL = 500  # pixels wide

_MARGIN = 32.0  # pixels
_LEFT, _RIGHT = _MARGIN, PANEL - _MARGIN
_COLUMNS = (_RIGHT - 228, _RIGHT - 112, _RIGHT)  # pixels: right edges of a pad's values
_HUGE, _LARGE, _SMALL, _TINY = 36, 24, 21, 18  # pixels, of letters
_ROW, _ENTRY = 39.0, 43.0  # pixels, line heights of text and of the legend
_CREDIT = 'photograph: NEON, Yellowstone, 2019'


def panel(least_height: float, result: Assessment, *, has_kills: bool, has_seen: bool) -> Canvas:
    """Return the panel, at least ``least_height`` pixels high.

    Args:
        least_height: pixels.
        result: The assessment of the flight.
        has_kills: Whether the map shows where a worker was killed.
        has_seen: Whether the map shows which ground was seen.
    """
    entries = _entries(result, has_kills, has_seen)
    figures = _figures(result)
    rows = 1 + len(result.findings) + len(result.false_targets) + len(figures)
    height = 240 + _ENTRY * len(entries) + _ROW * rows
    canvas = Canvas(PANEL, max(least_height, height), symbols.PAPER)
    canvas.text((_LEFT, 30), 'Survey of landing pads', _HUGE, symbols.INK, bold=True)
    canvas.text((_LEFT, 76), 'found in flight by worker_pipeline', _SMALL, symbols.FAINT)
    top = 130.0
    for text, draw in entries:
        draw(canvas, (_LEFT + 19, top + 14))
        canvas.text((_LEFT + 54, top), text, _LARGE, symbols.INK)
        top += _ENTRY
    top = _pads(canvas, top + 12, result)
    top = _rule(canvas, top + 10)
    for name, value, colour in figures:
        canvas.text((_LEFT, top), name, _LARGE, colour)
        canvas.text((_RIGHT, top), value, _LARGE, colour, anchor='ra', bold=True)
        top += _ROW
    canvas.text((_LEFT, canvas.height - 36), _CREDIT, _TINY, symbols.FAINT)
    return canvas


def _entries(
    result: Assessment, has_kills: bool, has_seen: bool
) -> list[tuple[str, Callable[[Canvas, Point], None]]]:
    """Return the entries of the legend: a text and its symbol."""
    percent = round(100 * symbols.PROBABILITY)
    entries = [
        ('flight track', _track, True),
        ('seen by the camera', _seen, has_seen),
        ('pad, where it is', symbols.draw_true, True),
        (f'pad, as found, {percent}% ellipse', _found, True),
        ('pad that was missed', symbols.draw_missed, any(not f.estimate for f in result.findings)),
        ('found where no pad is', symbols.draw_false_target, bool(result.false_targets)),
        ('a worker is killed', symbols.draw_kill, has_kills),
    ]
    return [(text, draw) for text, draw, is_shown in entries if is_shown]


def _track(canvas: Canvas, spot: Point) -> None:
    begin, end = (spot[0] - 19, spot[1]), (spot[0] + 19, spot[1])
    symbols.draw_track(canvas, [begin, end])
    symbols.draw_arrow(canvas, begin, spot)


def _seen(canvas: Canvas, spot: Point) -> None:
    u, v = spot
    canvas.box((u - 19, v - 13, u + 19, v + 13), (62, 66, 60))
    canvas.box((u - 19, v - 13, u + 3, v + 13), (139, 148, 120))
    canvas.line([(u + 4, v - 13), (u + 4, v + 13)], symbols.WHITE, 1.5)


def _found(canvas: Canvas, spot: Point) -> None:
    angles = np.linspace(0.0, 2 * np.pi, 40, endpoint=False)
    corners = np.column_stack([19 * np.cos(angles), 13 * np.sin(angles)]) + spot
    symbols.draw_ellipse(canvas, [(u, v) for u, v in corners])
    symbols.draw_found(canvas, spot)


def _pads(canvas: Canvas, top: float, result: Assessment) -> float:
    """Draw the table of pads; return its lower edge."""
    top = _rule(canvas, top)
    _row(canvas, top - 2, 'pad', ('seen', 'std. dev.', 'error'), symbols.FAINT, _SMALL)
    top += _ROW
    for finding in result.findings:
        name = pad_name(finding.pad.label) + (' (H)' if finding.pad.label == NO_LABEL else '')
        if finding.estimate is None:
            _row(canvas, top, name, ('0', '', 'missed'), symbols.BAD)
        else:
            _row(canvas, top, name, (*_stated(finding.estimate), f'{finding.error:.2f} m'))
        top += _ROW
    for estimate in result.false_targets:
        _row(canvas, top, estimate.name, (*_stated(estimate), 'no pad'), symbols.BAD)
        top += _ROW
    return top


def _stated(estimate: Estimate) -> tuple[str, str]:
    return str(estimate.sightings), f'± {estimate.deviation:.2f} m'


def _row(
    canvas: Canvas,
    top: float,
    name: str,
    values: Sequence[str],
    colour: Colour = symbols.INK,
    size: int = _LARGE,
) -> None:
    canvas.text((_LEFT, top), name, size, colour)
    for right, value in zip(_COLUMNS, values, strict=True):
        is_error = right == _RIGHT and size == _LARGE
        canvas.text((right, top), value, size, colour, anchor='ra', bold=is_error)


def _figures(result: Assessment) -> list[tuple[str, str, Colour]]:
    """Return the results of the flight: name, value and colour."""
    accounting, latency = result.accounting, result.latency
    found = sum(finding.estimate is not None for finding in result.findings)
    rows = [
        ('pads found', f'{found} of {len(result.findings)}'),
        ('frames in', str(accounting.frames_in)),
        ('frames answered', str(accounting.answered)),
        ('frames dropped', str(accounting.dropped)),
        ('workers killed, replaced', f'{result.kills}, {result.replacements}'),
    ]
    if result.acknowledged is not None:
        rows.append(('targets known to the ground', str(result.acknowledged)))
    if latency.median is not None and latency.p99 is not None:
        rows.append(('latency, median', f'{latency.median * 1e3:.0f} ms'))
        rows.append(('latency, 99th percentile', f'{latency.p99 * 1e3:.0f} ms'))
    figures: list[tuple[str, str, Colour]] = [(name, value, symbols.INK) for name, value in rows]
    if result.problems:
        figures.append(('not as promised', str(len(result.problems)), symbols.BAD))
    return figures


def _rule(canvas: Canvas, top: float) -> float:
    canvas.line([(_LEFT, top), (_RIGHT, top)], symbols.RULE, 1.0)
    return top + 18
