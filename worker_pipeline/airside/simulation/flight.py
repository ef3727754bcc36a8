# SPDX-License-Identifier: Apache-2.0
"""The simulated flight: a survey in lanes, as a pure function of the time since the stream began.

A reference point moves along straight lanes joined by half circles, slower in the turns. A vehicle
cannot follow its corners, so the flight is that motion smoothed over time. The attitude follows
from the thrust for acceleration and against drag, as for any multirotor, plus some sway; the nose
follows the track. The vehicle tilts into the wind; gusts change faster than the position controller
reacts, so they also push it off its track temporarily.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import (
    Vector,
    multiply,
    normalized,
    quaternion_from_matrix,
    quaternion_from_rotation_vector,
    rotation_matrix,
    slerp,
)

GRAVITY = 9.80665  # m/s^2

# Sampling interval of the flight, s: at 3 m/s^2, linear interpolation is accurate to 0.04 mm.
_STEP = 0.01
# Straight flight before and after the survey, s, needed for the smoothing.
_LEAD = 3.0
# Natural frequency of the position controller, rad/s.
_CONTROL_FREQUENCY = 1.0
# Shorter gusts do not move the vehicle, s.
_GUST_SMOOTHING = 0.3


@attrs.frozen
class SurveyPlan:
    """The survey to fly. Lanes run north and south, from west to east, around the origin."""

    lanes: int = 3
    lane_length: float = 153.0  # m
    lane_spacing: float = 44.0  # m
    altitude: float = 75.0  # m above the ground
    cruise_speed: float = 12.0  # m/s
    turn_speed: float = 7.0  # m/s
    acceleration: float = 2.0  # m/s^2, along the path
    smoothing: float = 0.5  # s, standard deviation of the window
    drag: float = 0.1  # 1/s, deceleration per speed
    sway: float = 0.03  # rad, maximum of roll and of pitch
    heave: float = 1.0  # m, maximum
    wind: tuple[float, float] = (0.0, 0.0)  # m/s, towards east and north, mean
    gusts: float = 0.0  # m/s, standard deviation of the wind in each direction
    gust_time: float = 3.0  # s, correlation time of the gusts


@attrs.frozen(eq=False)
class FlightState:
    """The state of the vehicle at one time.

    ``pose``: world from body. ``velocity``: m/s, and ``angular_velocity``: rad/s, in the body.
    """

    pose: Pose
    velocity: Vector
    angular_velocity: Vector


class SimulatedFlight:
    """A survey flight.

    Args:
        seed: Seed of its sway and of the gusts.
        duration: s, to end it early; 0: the whole flight.
        plan: The planned flight.
    """

    def __init__(
        self, seed: int = 1, duration: float = 0.0, plan: SurveyPlan | None = None
    ) -> None:
        self.plan = plan if plan is not None else SurveyPlan()
        path = _reference_path(self.plan)
        whole = (len(path) - 1) * _STEP - 2 * _LEAD
        self.duration = min(duration, whole) if duration > 0 else whole
        times = np.arange(len(path)) * _STEP
        random = np.random.default_rng(seed)
        roll, pitch, heave = (_oscillation(random, times) for _ in range(3))
        self._sway = np.column_stack([roll, pitch, np.zeros(len(times))]) * self.plan.sway
        self._position = np.column_stack(
            [
                _smooth(path[:, 0], self.plan.smoothing),
                _smooth(path[:, 1], self.plan.smoothing),
                self.plan.altitude + self.plan.heave * heave,
            ]
        )
        wind = np.zeros_like(self._position)
        wind[:, :2] = np.asarray(self.plan.wind) + _gusts(random, len(times), self.plan)
        self._position[:, :2] += _gust_displacement(
            wind[:, :2] - np.asarray(self.plan.wind), self.plan.drag
        )
        self._velocity = np.gradient(self._position, _STEP, axis=0)
        self._airspeed = self._velocity - wind
        self._acceleration = np.gradient(self._velocity, _STEP, axis=0)

    def state(self, time: float) -> FlightState:
        """Return the state ``time`` seconds after the start. ValueError outside the flight."""
        if not 0.0 <= time <= self.duration:
            raise ValueError(f'time: found {time:g}; allowed: 0 to {self.duration:g} s')
        before, fraction = divmod((time + _LEAD) / _STEP, 1.0)
        sample = int(before)
        first, second = self._orientation(sample), self._orientation(sample + 1)
        orientation = slerp(first, second, fraction)
        world_from_body = rotation_matrix(orientation)
        velocity = _interpolate(self._velocity, sample, fraction)
        return FlightState(
            pose=Pose(_interpolate(self._position, sample, fraction), orientation),
            velocity=velocity @ world_from_body,
            angular_velocity=_small_turn(first, second) / _STEP,
        )

    def times(self, period: float) -> list[float]:
        """Return the times (s) of the images of a camera with this period (s)."""
        count = int(self.duration / period) + 1
        return [min(step * period, self.duration) for step in range(count)]

    def track(self, step: float = 0.5) -> Vector:
        """Return the flight's positions (N, 3), m, ENU, every ``step`` seconds."""
        first = round(_LEAD / _STEP)
        last = first + round(self.duration / _STEP)
        return self._position[first : last + 1 : max(1, round(step / _STEP))]

    def _orientation(self, sample: int) -> Vector:
        velocity = self._velocity[sample]
        # The rotors push along the body's z: against gravity and drag, and to accelerate.
        thrust = self._acceleration[sample] + self.plan.drag * self._airspeed[sample]
        up = normalized(thrust + np.array([0.0, 0.0, GRAVITY]))
        left = normalized(np.cross(up, [velocity[0], velocity[1], 0.0]))
        level = quaternion_from_matrix(np.column_stack([np.cross(left, up), left, up]))
        return multiply(level, quaternion_from_rotation_vector(self._sway[sample]))


def _reference_path(plan: SurveyPlan) -> Vector:
    """Return the reference point's positions (N, 2), m, every ``_STEP`` seconds, with lead."""
    radius = plan.lane_spacing / 2
    arc = math.pi * radius
    length = plan.lanes * plan.lane_length + (plan.lanes - 1) * arc
    lead = plan.cruise_speed * _LEAD
    travelled = [-lead]
    while travelled[-1] < length + lead:
        travelled.append(travelled[-1] + _speed(plan, travelled[-1], arc) * _STEP)
    return np.array([_point(plan, distance, arc) for distance in travelled])


def _speed(plan: SurveyPlan, distance: float, arc: float) -> float:
    """Return the reference point's speed (m/s) at a distance along the path (m)."""
    lane, along = _lane_at(plan, distance, arc)
    if along > plan.lane_length and lane < plan.lanes - 1:
        return plan.turn_speed
    # Brake before the next turn and accelerate after the last one, if there is one.
    ahead = plan.lane_length - along if lane < plan.lanes - 1 else math.inf
    behind = along if lane > 0 else math.inf
    nearest = max(0.0, min(ahead, behind))
    return min(plan.cruise_speed, math.sqrt(plan.turn_speed**2 + 2 * plan.acceleration * nearest))


def _lane_at(plan: SurveyPlan, distance: float, arc: float) -> tuple[int, float]:
    """Return the lane and the distance along it; beyond the lane's length is the turn."""
    lane = min(plan.lanes - 1, max(0, int(distance // (plan.lane_length + arc))))
    return lane, distance - lane * (plan.lane_length + arc)


def _point(plan: SurveyPlan, distance: float, arc: float) -> tuple[float, float]:
    """Return east and north (m) at a distance along the path (m)."""
    lane, along = _lane_at(plan, distance, arc)
    northward = 1.0 if lane % 2 == 0 else -1.0
    east = (lane - (plan.lanes - 1) / 2) * plan.lane_spacing
    beyond = along - plan.lane_length
    if beyond <= 0 or lane == plan.lanes - 1:
        return east, northward * (along - plan.lane_length / 2)
    radius = plan.lane_spacing / 2
    angle = beyond / radius
    return (
        east + radius * (1 - math.cos(angle)),
        northward * (plan.lane_length / 2 + radius * math.sin(angle)),
    )


def _smooth(samples: Vector, deviation: float) -> Vector:
    """Return samples smoothed with a Gaussian window; both ends are extended linearly."""
    reach = round(4 * deviation / _STEP)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _STEP / deviation) ** 2)
    before = samples[0] + (samples[1] - samples[0]) * np.arange(-reach, 0)
    after = samples[-1] + (samples[-1] - samples[-2]) * np.arange(1, reach + 1)
    extended = np.concatenate([before, samples, after])
    return np.convolve(extended, window / window.sum(), mode='valid')


def _oscillation(random: np.random.Generator, times: npt.NDArray[np.floating[Any]]) -> Vector:
    """Return a slow, irregular oscillation between -1 and 1 at each of ``times`` (s)."""
    frequencies = random.uniform([0.08, 0.2, 0.4], [0.15, 0.35, 0.6])
    phases = random.uniform(0, 2 * math.pi, 3)
    weights = np.array([0.5, 0.3, 0.2])
    waves = np.sin(2 * math.pi * np.outer(times, frequencies) + phases)
    swing: Vector = waves @ weights
    return swing


def _gusts(random: np.random.Generator, count: int, plan: SurveyPlan) -> Vector:
    """Return the wind's deviation from its mean (count, 2), m/s: smoothed Gauss-Markov noise."""
    if plan.gusts == 0.0:
        return np.zeros((count, 2))
    kept = math.exp(-_STEP / plan.gust_time)
    steps = random.normal(size=(count, 2)) * plan.gusts * math.sqrt(1 - kept**2)
    gusts = np.empty((count, 2))
    last = random.normal(size=2) * plan.gusts
    for sample, step in enumerate(steps):
        last = kept * last + step
        gusts[sample] = last
    # Smoothed, since the vehicle is larger than the smallest gusts.
    return np.column_stack([_smooth(gusts[:, axis], _GUST_SMOOTHING) for axis in (0, 1)])


def _gust_displacement(gusts: Vector, drag: float) -> Vector:
    """Return the displacement (N, 2), m, by gusts (N, 2), m/s, under position control."""
    pushed = np.zeros_like(gusts)
    if not gusts.any():
        return pushed
    offset, speed = np.zeros(2), np.zeros(2)
    for sample, gust in enumerate(gusts):
        speed = (
            speed
            + (drag * gust - _CONTROL_FREQUENCY**2 * offset - 1.6 * _CONTROL_FREQUENCY * speed)
            * _STEP
        )
        offset = offset + speed * _STEP
        pushed[sample] = offset
    return pushed


def _interpolate(samples: Vector, before: int, fraction: float) -> Vector:
    between: Vector = (1 - fraction) * samples[before] + fraction * samples[before + 1]
    return between


def _small_turn(first: Vector, second: Vector) -> Vector:
    """Return the rotation vector (rad, in the first one's axes) between two close attitudes."""
    inverse = first * np.array([-1.0, -1.0, -1.0, 1.0])
    turn = multiply(inverse, second)
    # For a small angle the vector part is half of it; the sign selects the shorter way.
    vector: Vector = 2 * turn[:3] * math.copysign(1.0, turn[3])
    return vector
