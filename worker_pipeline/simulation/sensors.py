"""What a vehicle measures of its own flight: the truth, with the errors of GPS and an autopilot.

Each error has a part that wanders slowly, a Gauss-Markov process (the signals' way through the air,
a gyroscope's and a compass's bias), and a part that is another one each time. All of it is a
function of the time and the seed, so that whoever asks is told the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from worker_pipeline.airside.geometry import (
    Vector,
    multiply,
    quaternion_from_rotation_vector,
)
from worker_pipeline.airside.pose import Pose
from worker_pipeline.airside.vehicle_state import Uncertainty, VehicleState
from worker_pipeline.simulation.flight import SimulatedFlight

_STEP = 0.1  # s, between the samples of what wanders; between them it goes straight


@attrs.frozen
class Error:
    """Of three values at once. Standard deviations, in the unit of what is measured.

    ``wander``: of what wanders, and ``remembered`` for so long (s): after that time a third (1/e)
    of it is left. ``white``: of what is new in each measurement.
    """

    wander: tuple[float, float, float]
    remembered: float
    white: tuple[float, float, float]

    @property
    def deviation(self) -> Vector:
        """Of both parts together (3)."""
        both: Vector = np.hypot(self.wander, self.white)
        return both


@attrs.frozen
class SensorNoise:
    """How well is measured; by default as with a single-frequency GPS and a good autopilot.

    The position's error is that of GPS in the open: 0.8 m each way, so that half of the
    measurements are within 0.94 m of the truth, and about twice that in height. Roll and pitch are
    known by gravity, yaw by a compass. An autopilot's filter smoothes: what is white is little.
    """

    position: Error = Error((0.8, 0.8, 1.5), 60.0, (0.05, 0.05, 0.08))  # m; east, north, up
    attitude: Error = Error((0.008, 0.008, 0.03), 20.0, (0.001, 0.001, 0.002))  # rad; about FLU
    velocity: Error = Error((0.08, 0.08, 0.1), 5.0, (0.02, 0.02, 0.03))  # m/s; FLU
    angular_velocity: Error = Error((0.002, 0.002, 0.002), 60.0, (0.005, 0.005, 0.005))  # rad/s
    period: float = 0.02  # s, between two measurements: what is white stays for so long

    @property
    def uncertainty(self) -> Uncertainty:
        """What an autopilot that knew its own errors would tell."""
        return Uncertainty.of_deviations(
            self.position.deviation,
            self.attitude.deviation,
            self.velocity.deviation,
            self.angular_velocity.deviation,
        )


class NoisyFlight:
    """A flight as it is measured. ``seed``: of the errors; the flight's own is another matter."""

    def __init__(
        self, flight: SimulatedFlight, seed: int = 1, noise: SensorNoise | None = None
    ) -> None:
        self.flight = flight
        self.noise = SensorNoise() if noise is None else noise
        self._uncertainty = self.noise.uncertainty
        parts = self.noise.position, self.noise.attitude, self.noise.velocity
        # One generator for each, so that a change of one error leaves the others as they are.
        seeds = np.random.SeedSequence([seed, 0x5E450]).spawn(4)
        self._errors = [
            _Errors(error, np.random.default_rng(each), flight.duration, self.noise.period)
            for error, each in zip((*parts, self.noise.angular_velocity), seeds, strict=True)
        ]

    def odometry(self, time: float) -> VehicleState:
        """What is measured ``time`` seconds into the flight. ValueError outside of it."""
        truth = self.flight.state(time)
        position, attitude, velocity, angular_velocity = (each.at(time) for each in self._errors)
        turned = quaternion_from_rotation_vector(attitude)
        return VehicleState(
            Pose(truth.pose.position + position, multiply(truth.pose.orientation, turned)),
            truth.velocity + velocity,
            truth.angular_velocity + angular_velocity,
            self._uncertainty,
        )


class _Errors:
    """One error, for as long as the flight takes."""

    def __init__(
        self, error: Error, random: np.random.Generator, duration: float, period: float
    ) -> None:
        self._period = period
        self._wander = _gauss_markov(
            random,
            math.ceil(duration / _STEP) + 2,
            error.wander,
            math.exp(-_STEP / error.remembered),
        )
        count = math.ceil(duration / period) + 2
        self._white = random.normal(size=(count, 3)) * np.asarray(error.white)

    def at(self, time: float) -> Vector:
        before, fraction = divmod(time / _STEP, 1.0)
        first, second = self._wander[int(before)], self._wander[int(before) + 1]
        # A time on the beginning of a period must not fall to the one before by rounding.
        white = self._white[int(time / self._period + 1e-6)]
        error: Vector = (1 - fraction) * first + fraction * second + white
        return error


def _gauss_markov(
    random: np.random.Generator, count: int, deviation: Sequence[float], kept: float
) -> Vector:
    """Samples (count, 3) of a stationary first-order Gauss-Markov process."""
    samples = random.normal(size=(count, 3))
    samples[1:] *= math.sqrt(1 - kept**2)
    for sample in range(1, count):
        samples[sample] += kept * samples[sample - 1]
    wandering: Vector = samples * np.asarray(deviation)
    return wandering
