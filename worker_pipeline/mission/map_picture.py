"""The map: the photograph with the flight, the pads as they are, and as they were found."""

from __future__ import annotations

from collections.abc import Sequence

from worker_pipeline.airside.geometry import Vector
from worker_pipeline.mission import symbols
from worker_pipeline.mission.assessment import Assessment
from worker_pipeline.mission.canvas import Canvas, Picture, Point
from worker_pipeline.mission.close_ups import close_ups
from worker_pipeline.mission.ground_map import WIDTH, ground_map
from worker_pipeline.mission.map_panel import PANEL, panel
from worker_pipeline.simulation.imagery import Orthophoto


def draw_map(
    ground: Orthophoto,
    result: Assessment,
    track: Sequence[Point],
    kills: Sequence[tuple[str, Point]],
    footprints: Vector,
) -> Picture:
    """The picture, RGB.

    ``track``: m, east and north. ``kills``: of each worker that was killed the stage, and where the
    vehicle was (m). ``footprints``: (N, 4, 2), m, the corners of the ground in each image.
    """
    left = ground_map(ground, result, track, kills, footprints)
    right = panel(left.height, result, has_kills=bool(kills), has_seen=len(footprints) > 0)
    below = close_ups(WIDTH + PANEL, ground, result.findings)
    height = max(left.height, right.height)
    whole = Canvas(WIDTH + PANEL, height + below.height, symbols.PAPER)
    whole.put(left, (0, 0))
    whole.put(right, (WIDTH, 0))
    whole.put(below, (0, height))
    return whole.finished()
