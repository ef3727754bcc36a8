# SPDX-License-Identifier: Apache-2.0
"""An autopilot that flies the simulated flight and reports it over MAVLink, without a link.

Bytes go in and out, and the time is passed in; the output depends only on the seed, the input and
the times.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from worker_pipeline.airside.common.geodesy import pymap3d
from worker_pipeline.airside.geometry.rotations import rotation_matrix
from worker_pipeline.airside.mavlink import axes
from worker_pipeline.airside.mavlink.packing import pack_message
from worker_pipeline.airside.mavlink.parser import MessageParser
from worker_pipeline.airside.messages.vehicle_state import VehicleState
from worker_pipeline.airside.simulation.flight import FlightState, SimulatedFlight
from worker_pipeline.airside.simulation.lossy_link import LinkQuality, LossyLink
from worker_pipeline.airside.simulation.sensors import NoisyFlight, SensorNoise

SECONDS = 1_000_000_000
_MILLISECONDS = 1_000_000

# Rates of the messages that are sent without a request, 1/s.
_DEFAULT_RATES = {
    'HEARTBEAT': 1.0,
    'SYSTEM_TIME': 1.0,
    'ATTITUDE': 4.0,
    'GLOBAL_POSITION_INT': 4.0,
    'LOCAL_POSITION_NED': 4.0,
    'HOME_POSITION': 0.5,
}
_FASTEST = 100.0  # 1/s; highest rate of any message


@attrs.frozen
class BootClock:
    """The autopilot's clock. ``booted``: ns of ROS time; ``at_boot``: us, its reading then.

    ``drift``: how much faster it runs than ours, in parts per million.
    """

    booted: int
    at_boot: int = 0
    drift: float = 20.0

    def at(self, now: int) -> int:
        """Return its reading, ns."""
        passed = now - self.booted
        return self.at_boot * 1000 + passed + round(passed * self.drift * 1e-6)


@attrs.frozen
class WorldOrigin:
    """The origin of the flight's world: WGS 84, degrees, and m above mean sea level."""

    latitude: float = 44.95936602
    longitude: float = -110.63865039
    altitude: float = 2000.0


class SimulatedAutopilot:
    """Answers like an autopilot.

    The vehicle hovers where the flight begins before it, and where it ends after it. All times are
    ROS time in ns and must not decrease.

    Args:
        flight: The flight.
        begin: ns of ROS time at which the flight begins.
        clock: The autopilot's clock.
        seed: Seed of the errors and of the link.
        noise: The errors of the sensors.
        quality: The quality of the link.
        origin: The origin of the flight's world.
        system_id: MAVLink system id.
    """

    def __init__(
        self,
        flight: SimulatedFlight,
        begin: int,
        clock: BootClock,
        seed: int = 1,
        noise: SensorNoise | None = None,
        quality: LinkQuality | None = None,
        origin: WorldOrigin | None = None,
        system_id: int = 1,
    ) -> None:
        from pymavlink.dialects.v20 import common

        self.flight = flight
        self.begin = begin
        self.clock = clock
        self._common = common
        self._measured = NoisyFlight(flight, seed, noise)
        self._origin = WorldOrigin() if origin is None else origin
        seeds = np.random.SeedSequence([seed, 0x117C]).spawn(2)
        quality = LinkQuality() if quality is None else quality
        self._down, self._up = (LossyLink(quality, np.random.default_rng(each)) for each in seeds)
        self._mavlink = common.MAVLink(None, system_id, common.MAV_COMP_ID_AUTOPILOT1)
        self._parser = MessageParser()
        self._interval = {each: round(SECONDS / rate) for each, rate in _DEFAULT_RATES.items()}
        self._due = dict.fromkeys(self._interval, 0)

    def truth(self, now: int) -> FlightState:
        """Return the true state of the vehicle."""
        time, flies = self._flight_time(now)
        state = self.flight.state(time)
        return state if flies else _at_rest(state)

    def measured(self, now: int) -> VehicleState:
        """Return the state as the autopilot measures it."""
        time, flies = self._flight_time(now)
        state = self._measured.odometry(time)
        return state if flies else _at_rest(state)

    def receive_data(self, data: bytes, now: int) -> None:
        """Take bytes sent to the vehicle; they arrive after the delay of the link."""
        self._up.send(data, now)

    def messages_to_send(self, now: int) -> list[bytes]:
        """Return the messages that have passed the link by now."""
        for data in self._up.arrived(now):
            for message in self._parser.feed(data):
                self._answer(message, now)
        for kind, due in self._due.items():
            if now >= due:
                # Missed transmissions are skipped.
                missed = (now - due) // self._interval[kind] if due else 0
                base = due or now
                self._due[kind] = base + (missed + 1) * self._interval[kind]
                self._send(kind, now)
        return self._down.arrived(now)

    def next_time(self) -> int:
        """Return when there is something to do again."""
        times = [*self._due.values(), self._up.next_arrival, self._down.next_arrival]
        return min(each for each in times if each is not None)

    def _flight_time(self, now: int) -> tuple[float, bool]:
        time = (now - self.begin) / SECONDS
        return min(max(time, 0.0), self.flight.duration), 0.0 <= time <= self.flight.duration

    # -- requests ----------------------------------------------------------------------------------

    def _answer(self, message: Any, now: int) -> None:
        kind = message.get_type()
        if kind == 'TIMESYNC' and message.tc1 == 0:
            self._transmit(
                self._common.MAVLink_timesync_message(self.clock.at(now), message.ts1), now
            )
        elif kind == 'COMMAND_LONG':
            self._on_command(message, now)

    def _on_command(self, message: Any, now: int) -> None:
        common = self._common
        result = common.MAV_RESULT_UNSUPPORTED
        kind = next(
            (each for each in _BUILDERS if _id_of(common, each) == int(message.param1)), None
        )
        if message.command == common.MAV_CMD_SET_MESSAGE_INTERVAL:
            result = self._set_interval(kind, message.param2)
        elif message.command == common.MAV_CMD_REQUEST_MESSAGE and kind is not None:
            result = common.MAV_RESULT_ACCEPTED
            self._send(kind, now)
        self._transmit(common.MAVLink_command_ack_message(message.command, result), now)

    def _set_interval(self, kind: str | None, interval_us: float) -> int:
        """Set the interval of a message; 0: the default, below 0: never."""
        if kind is None or not math.isfinite(interval_us):
            return int(self._common.MAV_RESULT_DENIED)
        if interval_us < 0:
            self._due.pop(kind, None)
        else:
            usual = _DEFAULT_RATES.get(kind, 1.0)
            rate = min(1e6 / interval_us, _FASTEST) if interval_us else usual
            self._interval[kind] = round(SECONDS / rate)
            self._due[kind] = 0
        return int(self._common.MAV_RESULT_ACCEPTED)

    # -- messages ----------------------------------------------------------------------------------

    def _send(self, kind: str, now: int) -> None:
        self._transmit(_BUILDERS[kind](self, now), now)

    def _transmit(self, message: Any, now: int) -> None:
        self._down.send(pack_message(self._mavlink, message), now)

    def _boot_ms(self, now: int) -> int:
        return self.clock.at(now) // _MILLISECONDS % 2**32

    def _heartbeat(self, _now: int) -> Any:
        common = self._common
        return common.MAVLink_heartbeat_message(
            common.MAV_TYPE_QUADROTOR,
            common.MAV_AUTOPILOT_GENERIC,
            common.MAV_MODE_FLAG_SAFETY_ARMED | common.MAV_MODE_FLAG_AUTO_ENABLED,
            0,
            common.MAV_STATE_ACTIVE,
            3,
        )

    def _system_time(self, now: int) -> Any:
        return self._common.MAVLink_system_time_message(now // 1000, self._boot_ms(now))

    def _attitude(self, now: int) -> Any:
        state = self.measured(now)
        w, x, y, z = axes.attitude_to_mavlink(state.pose.orientation)
        roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
        pitch = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
        yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        rates = axes.frd_from_flu(state.angular_velocity)
        return self._common.MAVLink_attitude_message(self._boot_ms(now), roll, pitch, yaw, *rates)

    def _attitude_quaternion(self, now: int) -> Any:
        state = self.measured(now)
        return self._common.MAVLink_attitude_quaternion_message(
            self._boot_ms(now),
            *axes.attitude_to_mavlink(state.pose.orientation),
            *axes.frd_from_flu(state.angular_velocity),
        )

    def _local_position(self, now: int) -> Any:
        state = self.measured(now)
        return self._common.MAVLink_local_position_ned_message(
            self._boot_ms(now), *axes.ned_from_enu(state.pose.position), *_velocity_ned(state)
        )

    def _global_position(self, now: int) -> Any:
        state = self.measured(now)
        latitude, longitude, altitude = pymap3d.enu2geodetic(
            *state.pose.position, *attrs.astuple(self._origin)
        )
        velocity = _velocity_ned(state)
        course = math.degrees(math.atan2(velocity[1], velocity[0])) % 360.0
        return self._common.MAVLink_global_position_int_message(
            self._boot_ms(now),
            *_degrees(latitude, longitude),
            round(altitude * 1000),
            round((altitude - self._origin.altitude) * 1000),
            *(round(each * 100) for each in velocity),
            round(course * 100) % 36000,
        )

    def _odometry(self, now: int) -> Any:
        state, common = self.measured(now), self._common
        known = state.uncertainty
        return common.MAVLink_odometry_message(
            self.clock.at(now) // 1000,
            common.MAV_FRAME_LOCAL_NED,
            common.MAV_FRAME_BODY_FRD,
            *axes.ned_from_enu(state.pose.position),
            axes.attitude_to_mavlink(state.pose.orientation),
            *axes.frd_from_flu(state.velocity),
            *axes.frd_from_flu(state.angular_velocity),
            _triangle(axes.ned_covariance_from_enu(known.position), known.attitude),
            _triangle(axes.frd_covariance_from_flu(known.velocity), known.angular_velocity),
            0,
            common.MAV_ESTIMATOR_TYPE_AUTOPILOT,
            100,
        )

    def _home_position(self, now: int) -> Any:
        return self._common.MAVLink_home_position_message(
            *self._origin_numbers(), 0, 0, 0, (1, 0, 0, 0), 0, 0, 0, self.clock.at(now) // 1000
        )

    def _global_origin(self, now: int) -> Any:
        return self._common.MAVLink_gps_global_origin_message(
            *self._origin_numbers(), self.clock.at(now) // 1000
        )

    def _origin_numbers(self) -> tuple[int, int, int]:
        origin = self._origin
        return *_degrees(origin.latitude, origin.longitude), round(origin.altitude * 1000)


_BUILDERS = {
    'HEARTBEAT': SimulatedAutopilot._heartbeat,
    'SYSTEM_TIME': SimulatedAutopilot._system_time,
    'ATTITUDE': SimulatedAutopilot._attitude,
    'ATTITUDE_QUATERNION': SimulatedAutopilot._attitude_quaternion,
    'LOCAL_POSITION_NED': SimulatedAutopilot._local_position,
    'GLOBAL_POSITION_INT': SimulatedAutopilot._global_position,
    'ODOMETRY': SimulatedAutopilot._odometry,
    'HOME_POSITION': SimulatedAutopilot._home_position,
    'GPS_GLOBAL_ORIGIN': SimulatedAutopilot._global_origin,
}


def _id_of(common: Any, kind: str) -> int:
    return int(getattr(common, f'MAVLINK_MSG_ID_{kind}'))


def _at_rest(state: Any) -> Any:
    return attrs.evolve(state, velocity=np.zeros(3), angular_velocity=np.zeros(3))


def _velocity_ned(state: VehicleState) -> Any:
    return axes.ned_from_enu(rotation_matrix(state.pose.orientation) @ state.velocity)


def _degrees(latitude: float, longitude: float) -> tuple[int, int]:
    return round(latitude * 1e7), round(longitude * 1e7)


def _triangle(first: Any, second_in_flu: Any) -> list[float]:
    """Return the upper triangle, row by row, of a 6x6 covariance of independent halves."""
    whole = np.zeros((6, 6))
    whole[:3, :3], whole[3:, 3:] = first, axes.frd_covariance_from_flu(second_in_flu)
    triangle: list[float] = whole[np.triu_indices(6)].tolist()
    return triangle
