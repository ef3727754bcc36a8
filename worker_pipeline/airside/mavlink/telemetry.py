# SPDX-License-Identifier: Apache-2.0
"""States of the vehicle, assembled from messages that contain parts of them.

ODOMETRY contains a whole state. Without it, attitude and position arrive in separate messages at
different times: each attitude gives a state, with the last position extrapolated by its velocity to
the time of the attitude. Not the reverse: within a few hundredths of a second a velocity hardly
changes, but an attitude does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy as np

from worker_pipeline.airside.common.geodesy import pymap3d
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import Matrix, Vector, normalized, rotation_matrix
from worker_pipeline.airside.mavlink import axes
from worker_pipeline.airside.messages.vehicle_state import Uncertainty, VehicleState

AUTO = 'auto'
POSITIONS = ('ODOMETRY', 'LOCAL_POSITION_NED', 'GLOBAL_POSITION_INT')  # best first
ATTITUDES = ('ATTITUDE_QUATERNION', 'ATTITUDE')  # best first
# A better message counts as available for this time after the last one, us.
_AVAILABLE_FOR = 1_000_000
# Times from this value on, us, are counted from 1970; nothing runs for 30 years after its boot.
_MIN_UNIX_TIME = 1_000_000_000_000_000
# Standard deviation of the acceleration while a position is extrapolated, m/s^2.
_ACCELERATION = 1.5
# Largest coordinate in a local frame, m.
_MAX_COORDINATE = 1e6
# Frames that ODOMETRY may be in, values of MAV_FRAME.
_LOCAL_NED, _BODY_NED, _BODY_FRD = 1, 8, 12


@attrs.frozen(eq=False)
class TimedState:
    """A state and the vehicle's time of it, us since its boot."""

    time: int
    state: VehicleState


@attrs.frozen
class GeoPoint:
    """A geographic position: degrees, WGS 84, and m above mean sea level."""

    latitude: float
    longitude: float
    altitude: float


@attrs.frozen(eq=False)
class _Position:
    time: int
    position: Vector  # ENU
    velocity: Vector  # ENU


class UnusableError(ValueError):
    """A message with unusable content; the text is the key of its counter."""


class Telemetry:
    """The knowledge about the vehicle, from pymavlink messages in any order.

    Args:
        assumed: Uncertainty where the vehicle reports none.
        position_from: One of ``POSITIONS``, or ``auto`` for the best of those received.
        max_position_age: s; greatest time over which a position is extrapolated.
    """

    def __init__(
        self, assumed: Uncertainty, position_from: str = AUTO, max_position_age: float = 0.5
    ) -> None:
        self.home: GeoPoint | None = None
        self._assumed = assumed
        self._wanted = POSITIONS if position_from == AUTO else (position_from,)
        self._max_age = round(max_position_age * 1e6)
        self.reset()

    def reset(self) -> None:
        """Drop the state: after a reboot of the vehicle its times are different."""
        self._positions: dict[str, _Position] = {}
        self._seen: dict[str, int] = {}
        self._origin: GeoPoint | None = None
        self._boot_unix_time: int | None = None

    @property
    def source(self) -> str:
        """Return the best message that positions are taken from now; empty if there is none."""
        newest = max(self._seen.values(), default=0)
        return next((each for each in self._wanted if self._is_available(each, newest)), '')

    def time_of(self, message: Any) -> int | None:
        """Return the time in a message, us since the vehicle's boot; None if it has none."""
        if hasattr(message, 'time_boot_ms'):
            return int(message.time_boot_ms) * 1000
        usec = int(getattr(message, 'time_usec', 0))
        if usec < _MIN_UNIX_TIME:
            return usec or None
        return None if self._boot_unix_time is None else usec - self._boot_unix_time

    def read_state(self, message: Any, time: int) -> TimedState | None:
        """Return the state that a message completes, if any. Raises UnusableError."""
        reader = self._READERS.get(message.get_type())
        return None if reader is None else reader(self, message, time)

    def update(self, message: Any) -> None:
        """Store a message's home, origin and date. Raises UnusableError."""
        kind = message.get_type()
        if kind == 'SYSTEM_TIME' and message.time_unix_usec >= _MIN_UNIX_TIME:
            self._boot_unix_time = message.time_unix_usec - message.time_boot_ms * 1000
        elif kind == 'HOME_POSITION':
            self.home = _geo_point(message)
        elif kind == 'GPS_GLOBAL_ORIGIN':
            self._origin = _geo_point(message)

    # -- whole states ------------------------------------------------------------------------------

    def _odometry(self, message: Any, time: int) -> TimedState | None:
        if 'ODOMETRY' not in self._wanted:
            return None
        if message.frame_id != _LOCAL_NED or message.child_frame_id not in (
            _LOCAL_NED,
            _BODY_NED,
            _BODY_FRD,
        ):
            raise UnusableError('frames_not_known')
        if message.quality < 0:
            raise UnusableError('odometry_failed')
        position = _checked_position(_finite(message.x, message.y, message.z))
        velocity = _finite(message.vx, message.vy, message.vz)
        rates = _finite(message.rollspeed, message.pitchspeed, message.yawspeed)
        attitude = _attitude(axes.attitude_from_mavlink(*_finite(*message.q)))
        if message.child_frame_id == _LOCAL_NED:
            velocity = axes.enu_from_ned(velocity) @ rotation_matrix(attitude)
        else:
            velocity = axes.flu_from_frd(velocity)
        self._seen['ODOMETRY'] = time
        pose, twist = _triangle(message.pose_covariance), _triangle(message.velocity_covariance)
        known = attrs.evolve(
            self._assumed,
            **_valid_halves(pose, 'position', axes.enu_covariance_from_ned, 'attitude'),
            # A covariance in world axes cannot be used directly, and no autopilot sends one.
            **(
                _valid_halves(twist, 'velocity', axes.flu_covariance_from_frd, 'angular_velocity')
                if message.child_frame_id != _LOCAL_NED
                else {}
            ),
        )
        pose_in_enu = Pose(axes.enu_from_ned(position), attitude)
        return TimedState(
            time, VehicleState(pose_in_enu, velocity, axes.flu_from_frd(rates), known)
        )

    # -- partial states ----------------------------------------------------------------------------

    def _local_position(self, message: Any, time: int) -> None:
        self._store_position(
            'LOCAL_POSITION_NED',
            time,
            axes.enu_from_ned(_checked_position(_finite(message.x, message.y, message.z))),
            axes.enu_from_ned(_finite(message.vx, message.vy, message.vz)),
        )

    def _global_position(self, message: Any, time: int) -> None:
        origin = self._origin or self.home
        if origin is None:
            return
        place = _global(message.lat, message.lon, message.alt)
        self._store_position(
            'GLOBAL_POSITION_INT',
            time,
            _checked_position(
                np.array(pymap3d.geodetic2enu(*attrs.astuple(place), *attrs.astuple(origin)))
            ),
            axes.enu_from_ned(np.array([message.vx, message.vy, message.vz]) / 100.0),
        )

    def _store_position(self, kind: str, time: int, position: Vector, velocity: Vector) -> None:
        self._seen[kind] = time
        self._positions[kind] = _Position(time, position, velocity)

    def _attitude_quaternion(self, message: Any, time: int) -> TimedState | None:
        numbers = _finite(message.q1, message.q2, message.q3, message.q4)
        return self._combined(message, time, axes.attitude_from_mavlink(*numbers))

    def _attitude_angles(self, message: Any, time: int) -> TimedState | None:
        if self._is_available('ATTITUDE_QUATERNION', time):
            return None
        angles = _finite(message.roll, message.pitch, message.yaw)
        return self._combined(message, time, axes.attitude_from_mavlink_euler(*angles))

    def _combined(self, message: Any, time: int, attitude: Vector) -> TimedState | None:
        rates = _finite(message.rollspeed, message.pitchspeed, message.yawspeed)
        attitude = _attitude(attitude)
        self._seen[message.get_type()] = time
        source = self.source
        if source == 'ODOMETRY':
            return None  # it has the same state with more accuracy
        last = self._positions.get(source)
        if last is None:
            return None
        if abs(time - last.time) > self._max_age:
            raise UnusableError('attitude_without_position')
        ahead = (time - last.time) / 1e6
        body_from_world = rotation_matrix(attitude).T
        state = VehicleState(
            Pose(_checked_position(last.position + last.velocity * ahead), attitude),
            body_from_world @ last.velocity,
            axes.flu_from_frd(rates),
            self._assumed_after(ahead, body_from_world),
        )
        return TimedState(time, state)

    def _assumed_after(self, ahead: float, body_from_world: Matrix) -> Uncertainty:
        """Return the assumed uncertainty of a position extrapolated for ``ahead`` seconds."""
        velocity = body_from_world.T @ self._assumed.velocity @ body_from_world
        moved = velocity * ahead**2 + np.eye(3) * (_ACCELERATION * ahead**2 / 2) ** 2
        return attrs.evolve(self._assumed, position=self._assumed.position + moved)

    def _is_available(self, kind: str, now: int) -> bool:
        return kind in self._seen and abs(now - self._seen[kind]) <= _AVAILABLE_FOR

    _READERS: ClassVar[dict[str, Callable[..., TimedState | None]]] = {
        'ODOMETRY': _odometry,
        'LOCAL_POSITION_NED': _local_position,
        'GLOBAL_POSITION_INT': _global_position,
        'ATTITUDE_QUATERNION': _attitude_quaternion,
        'ATTITUDE': _attitude_angles,
    }


def _finite(*values: float) -> Vector:
    if not all(map(math.isfinite, values)):
        raise UnusableError('not_finite')
    return np.array(values, dtype=float)


def _checked_position(position: Vector) -> Vector:
    if not (abs(position) <= _MAX_COORDINATE).all():
        raise UnusableError('no_place_on_earth')
    return position


def _attitude(quaternion: Vector) -> Vector:
    try:
        return normalized(quaternion)
    except ValueError:
        raise UnusableError('not_finite') from None


def _geo_point(message: Any) -> GeoPoint:
    return _global(message.latitude, message.longitude, message.altitude)


def _global(latitude: int, longitude: int, altitude: int) -> GeoPoint:
    """Return the position from MAVLink's integers: 1e-7 degree and mm."""
    if abs(latitude) > 900_000_000 or abs(longitude) > 1_800_000_000:
        raise UnusableError('no_place_on_earth')
    return GeoPoint(latitude / 1e7, longitude / 1e7, altitude / 1e3)


def _triangle(numbers: Any) -> Matrix | None:
    """Return a 6x6 covariance from its upper triangle, row by row; None if it is unknown."""
    upper = np.asarray(numbers, dtype=float)
    if not np.isfinite(upper).all() or not upper.any():
        return None
    whole = np.zeros((6, 6))
    whole[np.triu_indices(6)] = upper
    symmetric: Matrix = whole + np.triu(whole, 1).T
    return symmetric


def _valid_halves(
    covariance: Matrix | None, first: str, turn_first: Callable[[Matrix], Matrix], second: str
) -> dict[str, Matrix]:
    """Return the halves of a 6x6 covariance with all variances above 0."""
    if covariance is None:
        return {}
    halves = {
        first: turn_first(covariance[:3, :3]),
        second: axes.flu_covariance_from_frd(covariance[3:, 3:]),
    }
    return {name: half for name, half in halves.items() if (np.diag(half) > 0).all()}
