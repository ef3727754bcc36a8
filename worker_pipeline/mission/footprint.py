"""The ground that the camera sees on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from worker_pipeline.airside.geometry import Vector
from worker_pipeline.airside.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.simulation.flight import SimulatedFlight

# A ray that goes down less steeply meets the ground far away, or never, rad.
_MIN_DESCENT = 0.1


def footprints(flight: SimulatedFlight, period: float, camera: Mapping[str, Any]) -> Vector:
    """The corners (N, 4, 2), m, east and north, of each image that shows nothing but ground.

    ``period``: s between two images. ``camera``: ``pinhole.INTRINSICS`` and ``MOUNTING``.
    """
    pinhole, mounting = PinholeCamera.of(camera), Mounting.of(camera)
    right, bottom = pinhole.width - 0.5, pinhole.height - 0.5
    corners = np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
    rays = pinhole.rays(corners)
    found = []
    for time in flight.times(period):
        pose = CameraPose.of(flight.state(time).pose, mounting)
        found.append(pose.on_plane(rays, 0.0, _MIN_DESCENT)[:, :2])
    seen = np.array(found)
    return seen[np.isfinite(seen).all(axis=(1, 2))]
