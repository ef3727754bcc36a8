"""States of the vehicle out of the messages that tell parts of them.

ODOMETRY tells all at once. Where it does not come, attitude and position come in messages of their
own, at times of their own: each attitude is one state, whose position is the last one known, moved
on by its velocity to the attitude's time. Not the other way round: within a few hundredths of a
second a velocity hardly changes, but an attitude does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy as np
import pymap3d

from worker_pipeline.airside.geometry import Matrix, Vector, normalized, rotation_matrix
from worker_pipeline.airside.mavlink import axes
from worker_pipeline.airside.pose import Pose
from worker_pipeline.airside.vehicle_state import Uncertainty, VehicleState

AUTO = 'auto'
POSITIONS = ('ODOMETRY', 'LOCAL_POSITION_NED', 'GLOBAL_POSITION_INT')  # best first
ATTITUDES = ('ATTITUDE_QUATERNION', 'ATTITUDE')  # best first
# What is better counts as there for so long after it was heard last, us.
_STAYS = 1_000_000
# Times from here on, us, are counted from 1970; nothing runs for 30 years after its boot.
_SINCE_1970 = 1_000_000_000_000_000
# How much a velocity may change while a position is moved on by it, m/s^2, one deviation.
_ACCELERATION = 1.5
# A local frame reaches no further, m.
_FARTHEST = 1e6
# Frames that ODOMETRY may be in, as MAV_FRAME has them.
_LOCAL_NED, _BODY_NED, _BODY_FRD = 1, 8, 12


@attrs.frozen(eq=False)
class Timed:
    """A state, and the vehicle's time of it, us since its boot."""

    time: int
    state: VehicleState


@attrs.frozen
class GeoPoint:
    """A place on the earth: degrees, WGS 84, and m above mean sea level."""

    latitude: float
    longitude: float
    altitude: float


@attrs.frozen(eq=False)
class _Position:
    time: int
    position: Vector  # ENU
    velocity: Vector  # ENU


class UnusableError(ValueError):
    """A message that tells nothing which can be used; its text is the counter's key."""


class Telemetry:
    """What is known of the vehicle. Fed with messages (as pymavlink decodes them), in any order.

    ``assumed``: how well it is known where the vehicle does not say. ``position_from``: one of
    ``POSITIONS``, or ``auto`` for the best of those that come. ``max_position_age``: s, how far a
    position is moved on at most.
    """

    def __init__(
        self, assumed: Uncertainty, position_from: str = AUTO, max_position_age: float = 0.5
    ) -> None:
        self.home: GeoPoint | None = None
        self._assumed = assumed
        self._wanted = POSITIONS if position_from == AUTO else (position_from,)
        self._max_age = round(max_position_age * 1e6)
        self.forget()

    def forget(self) -> None:
        """The vehicle has booted: what it told before is of another time."""
        self._positions: dict[str, _Position] = {}
        self._seen: dict[str, int] = {}
        self._origin: GeoPoint | None = None
        self._boot_since_1970: int | None = None

    @property
    def source(self) -> str:
        """The best of the messages that positions come from now; empty without any."""
        newest = max(self._seen.values(), default=0)
        return next((each for each in self._wanted if self._is_there(each, newest)), '')

    def time_of(self, message: Any) -> int | None:
        """The time a message bears, us since the vehicle's boot; None if it bears none."""
        if hasattr(message, 'time_boot_ms'):
            return int(message.time_boot_ms) * 1000
        usec = int(getattr(message, 'time_usec', 0))
        if usec < _SINCE_1970:
            return usec or None
        return None if self._boot_since_1970 is None else usec - self._boot_since_1970

    def take(self, message: Any, time: int) -> Timed | None:
        """What a message makes known, if that is a state. Raises UnusableError."""
        reader = self._READERS.get(message.get_type())
        return None if reader is None else reader(self, message, time)

    def learn(self, message: Any) -> None:
        """Take from a message what holds at any time: home, origin, the date. UnusableError."""
        kind = message.get_type()
        if kind == 'SYSTEM_TIME' and message.time_unix_usec >= _SINCE_1970:
            self._boot_since_1970 = message.time_unix_usec - message.time_boot_ms * 1000
        elif kind == 'HOME_POSITION':
            self.home = _geo_point(message)
        elif kind == 'GPS_GLOBAL_ORIGIN':
            self._origin = _geo_point(message)

    # -- all at once -----------------------------------------------------------------------------

    def _odometry(self, message: Any, time: int) -> Timed | None:
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
        position = _near(_finite(message.x, message.y, message.z))
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
            **_known(pose, 'position', axes.enu_covariance_from_ned, 'attitude'),
            # In the world's axes it is of no use without more ado, and nobody sends it.
            **(
                _known(twist, 'velocity', axes.flu_covariance_from_frd, 'angular_velocity')
                if message.child_frame_id != _LOCAL_NED
                else {}
            ),
        )
        pose_in_enu = Pose(axes.enu_from_ned(position), attitude)
        return Timed(time, VehicleState(pose_in_enu, velocity, axes.flu_from_frd(rates), known))

    # -- in parts --------------------------------------------------------------------------------

    def _local_position(self, message: Any, time: int) -> None:
        self._keep(
            'LOCAL_POSITION_NED',
            time,
            axes.enu_from_ned(_near(_finite(message.x, message.y, message.z))),
            axes.enu_from_ned(_finite(message.vx, message.vy, message.vz)),
        )

    def _global_position(self, message: Any, time: int) -> None:
        origin = self._origin or self.home
        if origin is None:
            return
        place = _global(message.lat, message.lon, message.alt)
        self._keep(
            'GLOBAL_POSITION_INT',
            time,
            _near(np.array(pymap3d.geodetic2enu(*attrs.astuple(place), *attrs.astuple(origin)))),
            axes.enu_from_ned(np.array([message.vx, message.vy, message.vz]) / 100.0),
        )

    def _keep(self, kind: str, time: int, position: Vector, velocity: Vector) -> None:
        self._seen[kind] = time
        self._positions[kind] = _Position(time, position, velocity)

    def _attitude_quaternion(self, message: Any, time: int) -> Timed | None:
        numbers = _finite(message.q1, message.q2, message.q3, message.q4)
        return self._combined(message, time, axes.attitude_from_mavlink(*numbers))

    def _attitude_angles(self, message: Any, time: int) -> Timed | None:
        if self._is_there('ATTITUDE_QUATERNION', time):
            return None
        angles = _finite(message.roll, message.pitch, message.yaw)
        return self._combined(message, time, axes.attitude_from_mavlink_euler(*angles))

    def _combined(self, message: Any, time: int, attitude: Vector) -> Timed | None:
        rates = _finite(message.rollspeed, message.pitchspeed, message.yawspeed)
        attitude = _attitude(attitude)
        self._seen[message.get_type()] = time
        source = self.source
        if source == 'ODOMETRY':
            return None  # which tells the same better
        last = self._positions.get(source)
        if last is None:
            return None
        if abs(time - last.time) > self._max_age:
            raise UnusableError('attitude_without_position')
        ahead = (time - last.time) / 1e6
        body_from_world = rotation_matrix(attitude).T
        state = VehicleState(
            Pose(_near(last.position + last.velocity * ahead), attitude),
            body_from_world @ last.velocity,
            axes.flu_from_frd(rates),
            self._assumed_after(ahead, body_from_world),
        )
        return Timed(time, state)

    def _assumed_after(self, ahead: float, body_from_world: Matrix) -> Uncertainty:
        """What is assumed, of a position that was moved on for so long (s)."""
        velocity = body_from_world.T @ self._assumed.velocity @ body_from_world
        moved = velocity * ahead**2 + np.eye(3) * (_ACCELERATION * ahead**2 / 2) ** 2
        return attrs.evolve(self._assumed, position=self._assumed.position + moved)

    def _is_there(self, kind: str, now: int) -> bool:
        return kind in self._seen and abs(now - self._seen[kind]) <= _STAYS

    _READERS: ClassVar[dict[str, Callable[..., Timed | None]]] = {
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


def _near(position: Vector) -> Vector:
    if not (abs(position) <= _FARTHEST).all():
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
    """Of the integers that MAVLink has: 1e-7 degree and mm."""
    if abs(latitude) > 900_000_000 or abs(longitude) > 1_800_000_000:
        raise UnusableError('no_place_on_earth')
    return GeoPoint(latitude / 1e7, longitude / 1e7, altitude / 1e3)


def _triangle(numbers: Any) -> Matrix | None:
    """A 6x6 covariance from its upper triangle, row by row; None where the vehicle tells none."""
    upper = np.asarray(numbers, dtype=float)
    if not np.isfinite(upper).all() or not upper.any():
        return None
    whole = np.zeros((6, 6))
    whole[np.triu_indices(6)] = upper
    symmetric: Matrix = whole + np.triu(whole, 1).T
    return symmetric


def _known(
    covariance: Matrix | None, first: str, turn_first: Callable[[Matrix], Matrix], second: str
) -> dict[str, Matrix]:
    """The halves of a 6x6 covariance that can be: none that says it is better than exact."""
    if covariance is None:
        return {}
    halves = {
        first: turn_first(covariance[:3, :3]),
        second: axes.flu_covariance_from_frd(covariance[3:, 3:]),
    }
    return {name: half for name, half in halves.items() if (np.diag(half) > 0).all()}
