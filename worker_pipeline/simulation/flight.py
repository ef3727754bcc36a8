"""The simulated flight: a survey in lanes, as a pure function of the time since the stream began.

A reference point moves along straight lanes joined by half circles, slower in the turns. A vehicle
cannot follow its corners, so the flight is that motion smoothed over time. The attitude follows
from the thrust needed to accelerate and against the drag, as for any multirotor, plus some sway;
the nose follows the track. Wind is leaned into; gusts come quicker than the position is held, so
that they also push the vehicle off its track, and it comes back.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.geometry import (
    Vector,
    multiply,
    normalized,
    quaternion_from_matrix,
    quaternion_from_rotation_vector,
    rotation_matrix,
    slerp,
)
from worker_pipeline.airside.pose import Pose

GRAVITY = 9.80665  # m/s^2

# Time between two samples of the flight, s: at 3 m/s^2 a straight line between them is right to
# 0.04 mm.
_STEP = 0.01
# Straight flight before and after the survey, s: it only serves the smoothing.
_LEAD = 3.0
# How stiffly the position is held, rad/s: the frequency of its control.
_HOLDING = 1.0
# Shorter whirls of the air do not move the vehicle, s.
_WHIRL = 0.3


@attrs.frozen
class SurveyPlan:
    """What to fly. Lanes run north and south, from west to east, about the world's origin."""

    lanes: int = 3
    lane_length: float = 153.0  # m
    lane_spacing: float = 44.0  # m
    altitude: float = 75.0  # m above the ground
    cruise_speed: float = 12.0  # m/s
    turn_speed: float = 7.0  # m/s
    acceleration: float = 2.0  # m/s^2, along the path
    smoothing: float = 0.5  # s, standard deviation of the window
    drag: float = 0.1  # 1/s, deceleration per speed
    sway: float = 0.03  # rad, at most, of roll and of pitch each
    heave: float = 1.0  # m, at most
    wind: tuple[float, float] = (0.0, 0.0)  # m/s, towards east and north, on average
    gusts: float = 0.0  # m/s, standard deviation of the wind, east and north each
    gust_time: float = 3.0  # s, how long a gust is remembered


@attrs.frozen(eq=False)
class FlightState:
    """The vehicle at one time.

    ``pose``: world from body. ``velocity``: m/s, and ``angular_velocity``: rad/s, in the body.
    """

    pose: Pose
    velocity: Vector
    angular_velocity: Vector


class SimulatedFlight:
    """A survey flight. ``seed`` sets its sway; ``duration`` (s) cuts it short, unless it is 0."""

    def __init__(
        self, seed: int = 1, duration: float = 0.0, plan: SurveyPlan | None = None
    ) -> None:
        self.plan = plan if plan is not None else SurveyPlan()
        path = _reference_path(self.plan)
        whole = (len(path) - 1) * _STEP - 2 * _LEAD
        self.duration = min(duration, whole) if duration > 0 else whole
        times = np.arange(len(path)) * _STEP
        random = np.random.default_rng(seed)
        roll, pitch, heave = (_swing(random, times) for _ in range(3))
        self._sway = np.column_stack([roll, pitch, np.zeros(len(times))]) * self.plan.sway
        self._position = np.column_stack(
            [
                _smoothed(path[:, 0], self.plan.smoothing),
                _smoothed(path[:, 1], self.plan.smoothing),
                self.plan.altitude + self.plan.heave * heave,
            ]
        )
        wind = np.zeros_like(self._position)
        wind[:, :2] = np.asarray(self.plan.wind) + _gusts(random, len(times), self.plan)
        self._position[:, :2] += _pushed(wind[:, :2] - np.asarray(self.plan.wind), self.plan.drag)
        self._velocity = np.gradient(self._position, _STEP, axis=0)
        self._airspeed = self._velocity - wind
        self._acceleration = np.gradient(self._velocity, _STEP, axis=0)

    def state(self, time: float) -> FlightState:
        """The vehicle ``time`` seconds after the stream began. ValueError outside of the flight."""
        if not 0.0 <= time <= self.duration:
            raise ValueError(f'time: found {time:g}; allowed: 0 to {self.duration:g} s')
        before, fraction = divmod((time + _LEAD) / _STEP, 1.0)
        sample = int(before)
        first, second = self._orientation(sample), self._orientation(sample + 1)
        orientation = slerp(first, second, fraction)
        world_from_body = rotation_matrix(orientation)
        velocity = _between(self._velocity, sample, fraction)
        return FlightState(
            pose=Pose(_between(self._position, sample, fraction), orientation),
            velocity=velocity @ world_from_body,
            angular_velocity=_small_turn(first, second) / _STEP,
        )

    def times(self, period: float) -> list[float]:
        """Those at which a camera that takes an image every ``period`` s does so, s."""
        count = int(self.duration / period) + 1
        return [min(step * period, self.duration) for step in range(count)]

    def track(self, step: float = 0.5) -> Vector:
        """The flight's positions (N, 3), m, ENU, every ``step`` seconds."""
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
    """East and north (N, 2), m, of the reference point every ``_STEP`` seconds, lead included."""
    radius = plan.lane_spacing / 2
    arc = math.pi * radius
    length = plan.lanes * plan.lane_length + (plan.lanes - 1) * arc
    lead = plan.cruise_speed * _LEAD
    travelled = [-lead]
    while travelled[-1] < length + lead:
        travelled.append(travelled[-1] + _speed(plan, travelled[-1], arc) * _STEP)
    return np.array([_point(plan, distance, arc) for distance in travelled])


def _speed(plan: SurveyPlan, distance: float, arc: float) -> float:
    """The reference point's speed (m/s) at this distance along the path (m)."""
    lane, along = _lane_at(plan, distance, arc)
    if along > plan.lane_length and lane < plan.lanes - 1:
        return plan.turn_speed
    # Brake towards the turn ahead and gather speed after the turn behind, where there is one.
    ahead = plan.lane_length - along if lane < plan.lanes - 1 else math.inf
    behind = along if lane > 0 else math.inf
    nearest = max(0.0, min(ahead, behind))
    return min(plan.cruise_speed, math.sqrt(plan.turn_speed**2 + 2 * plan.acceleration * nearest))


def _lane_at(plan: SurveyPlan, distance: float, arc: float) -> tuple[int, float]:
    """The lane at a distance along the path, and how far along it: past its length is the turn."""
    lane = min(plan.lanes - 1, max(0, int(distance // (plan.lane_length + arc))))
    return lane, distance - lane * (plan.lane_length + arc)


def _point(plan: SurveyPlan, distance: float, arc: float) -> tuple[float, float]:
    """East and north (m) at a distance along the path (m)."""
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


def _smoothed(samples: Vector, deviation: float) -> Vector:
    """Samples averaged under a Gaussian window; the ends go on straight, as the lead does."""
    reach = round(4 * deviation / _STEP)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _STEP / deviation) ** 2)
    before = samples[0] + (samples[1] - samples[0]) * np.arange(-reach, 0)
    after = samples[-1] + (samples[-1] - samples[-2]) * np.arange(1, reach + 1)
    extended = np.concatenate([before, samples, after])
    return np.convolve(extended, window / window.sum(), mode='valid')


def _swing(random: np.random.Generator, times: npt.NDArray[np.floating[Any]]) -> Vector:
    """A slow, irregular swing between -1 and 1 at each of ``times`` (s)."""
    frequencies = random.uniform([0.08, 0.2, 0.4], [0.15, 0.35, 0.6])
    phases = random.uniform(0, 2 * math.pi, 3)
    weights = np.array([0.5, 0.3, 0.2])
    waves = np.sin(2 * math.pi * np.outer(times, frequencies) + phases)
    swing: Vector = waves @ weights
    return swing


def _gusts(random: np.random.Generator, count: int, plan: SurveyPlan) -> Vector:
    """The wind's deviation from its average (count, 2), m/s: a Gauss-Markov process, smoothed."""
    if plan.gusts == 0.0:
        return np.zeros((count, 2))
    kept = math.exp(-_STEP / plan.gust_time)
    steps = random.normal(size=(count, 2)) * plan.gusts * math.sqrt(1 - kept**2)
    gusts = np.empty((count, 2))
    last = random.normal(size=2) * plan.gusts
    for sample, step in enumerate(steps):
        last = kept * last + step
        gusts[sample] = last
    # The vehicle is not tossed about a hundred times a second: it is larger than a whirl.
    return np.column_stack([_smoothed(gusts[:, axis], _WHIRL) for axis in (0, 1)])


def _pushed(gusts: Vector, drag: float) -> Vector:
    """How far gusts (N, 2), m/s, push the vehicle off (N, 2), m, while its position is held."""
    pushed = np.zeros_like(gusts)
    if not gusts.any():
        return pushed
    offset, speed = np.zeros(2), np.zeros(2)
    for sample, gust in enumerate(gusts):
        speed = speed + (drag * gust - _HOLDING**2 * offset - 1.6 * _HOLDING * speed) * _STEP
        offset = offset + speed * _STEP
        pushed[sample] = offset
    return pushed


def _between(samples: Vector, before: int, fraction: float) -> Vector:
    between: Vector = (1 - fraction) * samples[before] + fraction * samples[before + 1]
    return between


def _small_turn(first: Vector, second: Vector) -> Vector:
    """The rotation vector (rad, in the first one's axes) from an attitude to one close to it."""
    inverse = first * np.array([-1.0, -1.0, -1.0, 1.0])
    turn = multiply(inverse, second)
    # For a small angle the vector part is half of it; the sign picks the shorter way.
    vector: Vector = 2 * turn[:3] * math.copysign(1.0, turn[3])
    return vector
