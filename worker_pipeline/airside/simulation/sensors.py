# SPDX-License-Identifier: Apache-2.0
"""Measurements of a flight by the vehicle: the truth with the errors of GPS and an autopilot.

Each error has a slowly wandering part, a Gauss-Markov process (the signals' way through the air,
the biases of gyroscope and compass), and a white part. All of it is a function of the time and the
seed, so it is reproducible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import (
    Vector,
    multiply,
    quaternion_from_rotation_vector,
)
from worker_pipeline.airside.messages.vehicle_state import Uncertainty, VehicleState
from worker_pipeline.airside.simulation.flight import SimulatedFlight

_STEP = 0.1  # s, between the samples of the wandering part, which is interpolated linearly


@attrs.frozen
class ErrorModel:
    """The error of three values. Standard deviations, in the unit of the values.

    ``wander``: of the wandering part, and ``correlation_time``: s, after which 1/e of it is left.
    ``white``: of the part that is new in each measurement.
    """

    wander: tuple[float, float, float]
    correlation_time: float
    white: tuple[float, float, float]

    @property
    def deviation(self) -> Vector:
        """Return the standard deviations (3,) of the whole error."""
        both: Vector = np.hypot(self.wander, self.white)
        return both


@attrs.frozen
class SensorNoise:
    """The errors of all sensors; by default a single-frequency GPS and a good autopilot.

    The position's error is that of GPS in the open: 0.8 m in each direction, so that half of the
    measurements are within 0.94 m of the truth, and about twice that in height. Roll and pitch are
    observed by gravity, yaw by a compass. An autopilot's filter smooths: the white part is small.
    """

    position: ErrorModel = ErrorModel(
        (0.8, 0.8, 1.5), 60.0, (0.05, 0.05, 0.08)
    )  # m; east, north, up
    attitude: ErrorModel = ErrorModel(
        (0.008, 0.008, 0.03), 20.0, (0.001, 0.001, 0.002)
    )  # rad; about FLU
    velocity: ErrorModel = ErrorModel((0.08, 0.08, 0.1), 5.0, (0.02, 0.02, 0.03))  # m/s; FLU
    angular_velocity: ErrorModel = ErrorModel(
        (0.002, 0.002, 0.002), 60.0, (0.005, 0.005, 0.005)
    )  # rad/s
    period: float = 0.02  # s, between two measurements; the white part is constant in between

    @property
    def uncertainty(self) -> Uncertainty:
        """Return the uncertainty that an autopilot with a correct error model reports."""
        return Uncertainty.from_deviations(
            self.position.deviation,
            self.attitude.deviation,
            self.velocity.deviation,
            self.angular_velocity.deviation,
        )


class NoisyFlight:
    """A flight as measured by the vehicle.

    Args:
        flight: The true flight.
        seed: Seed of the errors, independent of the flight's own.
        noise: The errors of the sensors.
    """

    def __init__(
        self, flight: SimulatedFlight, seed: int = 1, noise: SensorNoise | None = None
    ) -> None:
        self.flight = flight
        self.noise = SensorNoise() if noise is None else noise
        self._uncertainty = self.noise.uncertainty
        parts = self.noise.position, self.noise.attitude, self.noise.velocity
        # One generator for each, so that changing one error leaves the others unchanged.
        seeds = np.random.SeedSequence([seed, 0x5E450]).spawn(4)
        self._errors = [
            _ErrorSeries(error, np.random.default_rng(each), flight.duration, self.noise.period)
            for error, each in zip((*parts, self.noise.angular_velocity), seeds, strict=True)
        ]

    def odometry(self, time: float) -> VehicleState:
        """Return the state measured ``time`` seconds into the flight. ValueError outside of it."""
        truth = self.flight.state(time)
        position, attitude, velocity, angular_velocity = (each.at(time) for each in self._errors)
        turned = quaternion_from_rotation_vector(attitude)
        return VehicleState(
            Pose(truth.pose.position + position, multiply(truth.pose.orientation, turned)),
            truth.velocity + velocity,
            truth.angular_velocity + angular_velocity,
            self._uncertainty,
        )


class _ErrorSeries:
    """One error over the duration of the flight."""

    def __init__(
        self, error: ErrorModel, random: np.random.Generator, duration: float, period: float
    ) -> None:
        self._period = period
        self._wander = _gauss_markov(
            random,
            math.ceil(duration / _STEP) + 2,
            error.wander,
            math.exp(-_STEP / error.correlation_time),
        )
        count = math.ceil(duration / period) + 2
        self._white = random.normal(size=(count, 3)) * np.asarray(error.white)

    def at(self, time: float) -> Vector:
        before, fraction = divmod(time / _STEP, 1.0)
        first, second = self._wander[int(before)], self._wander[int(before) + 1]
        # Rounding must not turn the start of a period into the period before.
        white = self._white[int(time / self._period + 1e-6)]
        error: Vector = (1 - fraction) * first + fraction * second + white
        return error


def _gauss_markov(
    random: np.random.Generator, count: int, deviation: Sequence[float], kept: float
) -> Vector:
    """Return samples (count, 3) of a stationary first-order Gauss-Markov process."""
    samples = random.normal(size=(count, 3))
    samples[1:] *= math.sqrt(1 - kept**2)
    for sample in range(1, count):
        samples[sample] += kept * samples[sample - 1]
    wandering: Vector = samples * np.asarray(deviation)
    return wandering
