# SPDX-License-Identifier: Apache-2.0
"""The ground in view of the camera during the flight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from worker_pipeline.airside.geometry.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.simulation.flight import SimulatedFlight

# Rays that descend less than this reach the ground far away, or never, rad.
_MIN_DESCENT = 0.1


def footprints(flight: SimulatedFlight, period: float, camera: Mapping[str, Any]) -> Vector:
    """Return the corners (N, 4, 2), m, east and north, of each image that shows only ground.

    Args:
        flight: The flight.
        period: s, between two images.
        camera: ``pinhole.INTRINSICS`` and ``MOUNTING``.
    """
    pinhole, mounting = PinholeCamera.from_params(camera), Mounting.from_params(camera)
    right, bottom = pinhole.width - 0.5, pinhole.height - 0.5
    corners = np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
    rays = pinhole.rays(corners)
    found = []
    for time in flight.times(period):
        pose = CameraPose.from_body(flight.state(time).pose, mounting)
        found.append(pose.intersect_plane(rays, 0.0, _MIN_DESCENT)[:, :2])
    seen = np.array(found)
    return seen[np.isfinite(seen).all(axis=(1, 2))]
