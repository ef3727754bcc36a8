# SPDX-License-Identifier: Apache-2.0
"""The map: the photograph with the flight, the true pads, and the pads found."""

from __future__ import annotations

from collections.abc import Sequence

from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.mission import symbols
from worker_pipeline.airside.mission.assessment import Assessment
from worker_pipeline.airside.mission.canvas import Canvas, Picture, Point
from worker_pipeline.airside.mission.close_ups import close_ups
from worker_pipeline.airside.mission.ground_map import WIDTH, ground_map
from worker_pipeline.airside.mission.map_panel import PANEL, panel
from worker_pipeline.airside.simulation.imagery import Orthophoto


def draw_map(
    ground: Orthophoto,
    result: Assessment,
    track: Sequence[Point],
    kills: Sequence[tuple[str, Point]],
    footprints: Vector,
) -> Picture:
    """Return the picture, RGB.

    Args:
        ground: The photograph.
        result: The assessment of the flight.
        track: m, east and north.
        kills: The stage of each killed worker, and the vehicle's position (m).
        footprints: (N, 4, 2), m, the corners of the ground in each image.
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
