# SPDX-License-Identifier: Apache-2.0
"""Autopilots without a link, for tests of the MAVLink protocol."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from worker_pipeline.airside.geometry.rotations import rotation_matrix
from worker_pipeline.airside.mavlink.session import MavlinkIds, MavlinkSession, messages_wanted
from worker_pipeline.airside.mavlink.telemetry import Telemetry
from worker_pipeline.airside.mavlink.vehicle_clock import VehicleClock
from worker_pipeline.airside.messages.vehicle_state import Uncertainty, VehicleState
from worker_pipeline.airside.simulation.autopilot import SECONDS, BootClock, SimulatedAutopilot
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.lossy_link import LinkQuality
from worker_pipeline.airside.simulation.sensors import ErrorModel, SensorNoise

if TYPE_CHECKING:
    from typing_extensions import Self

EPOCH = 1_700_000_000 * SECONDS  # ROS time at which the flight begins
STEADY = 5_000 * SECONDS  # and our other clock at that time
STEP = SECONDS // 1000

NONE = ErrorModel((0.0, 0.0, 0.0), 1.0, (0.0, 0.0, 0.0))
EXACT = SensorNoise(NONE, NONE, NONE, NONE)
ASSUMED = Uncertainty.from_deviations(*([d] * 3 for d in (1.0, 0.01, 0.1, 0.02)))
FLIGHT = SimulatedFlight(duration=20.0)

States = list[tuple[int, VehicleState]]


def autopilot(
    uptime: float = 100.0,
    at: float = 0.0,
    drift: float = 20.0,
    quality: LinkQuality | None = None,
    noise: SensorNoise = EXACT,
    **how: Any,
) -> SimulatedAutopilot:
    """Return an autopilot that has run for ``uptime`` s when the flight is at ``at`` s."""
    clock = BootClock(EPOCH + round(at * SECONDS), round(uptime * 1e6), drift)
    return SimulatedAutopilot(FLIGHT, EPOCH, clock, 1, noise, quality or LinkQuality(), **how)


def session(
    position_from: str = 'auto', rate: float = 50.0, ids: MavlinkIds | None = None
) -> MavlinkSession:
    return MavlinkSession(
        ids or MavlinkIds(),
        Telemetry(ASSUMED, position_from),
        VehicleClock(),
        messages_wanted(rate, position_from),
    )


class Talk:
    """A session with an autopilot, in steps of a millisecond.

    ``states``: the states received, as pairs of ROS time (ns) and state. ``sent``: the bytes sent.
    """

    def __init__(self, vehicle: SimulatedAutopilot, ours: MavlinkSession) -> None:
        self.vehicle, self.ours = vehicle, ours
        self.elapsed = 0
        self.states: States = []
        self.sent = b''
        self.corrupt: Callable[[bytes], bytes] = lambda data: data

    def run(self, seconds: float) -> Self:
        for _ in range(round(seconds * SECONDS / STEP)):
            self.elapsed += STEP
            now, steady = EPOCH + self.elapsed, STEADY + self.elapsed
            for data in self.vehicle.messages_to_send(now):
                self.ours.receive_data(self.corrupt(data), steady)
            answer = self.ours.data_to_send(steady)
            if answer:
                self.sent += answer
                self.vehicle.receive_data(answer, now)
            newest, self.ours.newest = self.ours.newest, None
            if newest is not None:
                stamp = self.ours.clock.to_local(newest.time) + EPOCH - STEADY
                self.states.append((stamp, newest.state))
        return self


def assert_true(
    states: States, metres: float = 0.03, radians: float = 0.002, speed: float = 0.15
) -> None:
    """Assert that the states are those of the flight at their stamps."""
    assert states
    for stamp, state in states:
        truth = FLIGHT.state((stamp - EPOCH) / SECONDS)
        np.testing.assert_allclose(state.pose.position, truth.pose.position, atol=metres)
        np.testing.assert_allclose(state.velocity, truth.velocity, atol=speed)
        np.testing.assert_allclose(state.angular_velocity, truth.angular_velocity, atol=0.05)
        between = rotation_matrix(state.pose.orientation).T @ rotation_matrix(
            truth.pose.orientation
        )
        assert np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)) < radians


def assert_increasing(states: States) -> None:
    assert all(before < after for (before, _), (after, _) in itertools.pairwise(states))
