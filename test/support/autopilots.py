"""Autopilots without a link, for tests of those who talk to them."""

from __future__ import annotations

import itertools

import numpy as np

from worker_pipeline.airside.geometry import rotation_matrix
from worker_pipeline.airside.mavlink.conversation import Conversation, Parties, messages_wanted
from worker_pipeline.airside.mavlink.telemetry import Telemetry
from worker_pipeline.airside.mavlink.vehicle_clock import VehicleClock
from worker_pipeline.airside.vehicle_state import Uncertainty
from worker_pipeline.simulation.autopilot import SECONDS, BootClock, SimulatedAutopilot
from worker_pipeline.simulation.flight import SimulatedFlight
from worker_pipeline.simulation.lossy_link import LinkQuality
from worker_pipeline.simulation.sensors import Error, SensorNoise

EPOCH = 1_700_000_000 * SECONDS  # ROS time at which the flight begins
STEADY = 5_000 * SECONDS  # and what our other clock shows then
STEP = SECONDS // 1000

NONE = Error((0.0, 0.0, 0.0), 1.0, (0.0, 0.0, 0.0))
EXACT = SensorNoise(NONE, NONE, NONE, NONE)
ASSUMED = Uncertainty.of_deviations(*([d] * 3 for d in (1.0, 0.01, 0.1, 0.02)))
FLIGHT = SimulatedFlight(duration=20.0)


def autopilot(uptime=100.0, at=0.0, drift=20.0, quality=None, noise=EXACT, **how):
    """One that has run for ``uptime`` s when the flight is at ``at`` s."""
    clock = BootClock(EPOCH + round(at * SECONDS), round(uptime * 1e6), drift)
    return SimulatedAutopilot(FLIGHT, EPOCH, clock, 1, noise, quality or LinkQuality(), **how)


def conversation(position_from='auto', rate=50.0, parties=None):
    return Conversation(
        parties or Parties(),
        Telemetry(ASSUMED, position_from),
        VehicleClock(),
        messages_wanted(rate, position_from),
    )


class Talk:
    """A conversation with an autopilot, a millisecond at a time.

    ``heard``: all that was made known, as pairs of ROS time (ns) and state. ``said``: what we sent.
    """

    def __init__(self, vehicle, ours):
        self.vehicle, self.ours = vehicle, ours
        self.elapsed = 0
        self.heard = []
        self.said = b''
        self.spoil = lambda data: data

    def go_on(self, seconds):
        for _ in range(round(seconds * SECONDS / STEP)):
            self.elapsed += STEP
            now, steady = EPOCH + self.elapsed, STEADY + self.elapsed
            for data in self.vehicle.to_send(now):
                self.ours.received(self.spoil(data), steady)
            answer = self.ours.to_say(steady)
            if answer:
                self.said += answer
                self.vehicle.received(answer, now)
            newest, self.ours.newest = self.ours.newest, None
            if newest is not None:
                stamp = self.ours.clock.local(newest.time) + EPOCH - STEADY
                self.heard.append((stamp, newest.state))
        return self


def assert_true(heard, metres=0.03, radians=0.002, speed=0.15):
    """The states are those of the flight at their stamps."""
    assert heard
    for stamp, state in heard:
        truth = FLIGHT.state((stamp - EPOCH) / SECONDS)
        np.testing.assert_allclose(state.pose.position, truth.pose.position, atol=metres)
        np.testing.assert_allclose(state.velocity, truth.velocity, atol=speed)
        np.testing.assert_allclose(state.angular_velocity, truth.angular_velocity, atol=0.05)
        between = rotation_matrix(state.pose.orientation).T @ rotation_matrix(
            truth.pose.orientation
        )
        assert np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)) < radians


def assert_increasing(heard):
    assert all(before < after for (before, _), (after, _) in itertools.pairwise(heard))
