# SPDX-License-Identifier: Apache-2.0
"""The ground in view of the camera during the flight."""

from __future__ import annotations

import numpy as np

from worker_pipeline.airside.geometry.pinhole import INTRINSICS, MOUNTING
from worker_pipeline.airside.mission.footprint import footprints
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.parameter import check_parameters


def camera(**changes):
    return check_parameters({**INTRINSICS, **MOUNTING}, changes)


def test_a_footprint_has_the_size_of_the_field_of_view():
    flight = SimulatedFlight(duration=10.0)
    seen = footprints(flight, 0.5, camera())
    assert seen.shape == (21, 4, 2)
    edges = np.linalg.norm(np.roll(seen, -1, axis=1) - seen, axis=2)
    height = flight.plan.altitude
    assert np.allclose(edges[:, [0, 2]], 1920 / 2854.7 * height, rtol=0.1)
    assert np.allclose(edges[:, [1, 3]], 1200 / 2854.7 * height, rtol=0.1)
    middles = seen.mean(axis=1)
    track = np.array([flight.state(0.5 * step).pose.position[:2] for step in range(21)])
    assert np.abs(middles - track).max() < 0.2 * height  # as far as the vehicle tilts


def test_images_that_show_sky_are_left_out():
    forward = camera(mounting_attitude=[0.0, 0.0, 0.0])
    assert footprints(SimulatedFlight(duration=2.0), 0.5, forward).shape == (0, 4, 2)
