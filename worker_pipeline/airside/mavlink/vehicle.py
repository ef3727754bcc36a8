"""The vehicle at the other end of a MAVLink link, as the stage asks it."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from sensor_msgs.msg import NavSatFix, NavSatStatus

from worker_pipeline.airside.clocks import read_clocks
from worker_pipeline.airside.mavlink.address import check_address
from worker_pipeline.airside.mavlink.conversation import Conversation, Parties, messages_wanted
from worker_pipeline.airside.mavlink.link import Link, OpenLink, check_libraries
from worker_pipeline.airside.mavlink.link_thread import LinkThread
from worker_pipeline.airside.mavlink.telemetry import GeoPoint, Telemetry
from worker_pipeline.airside.mavlink.vehicle_clock import SECONDS, VehicleClock
from worker_pipeline.airside.vehicle_state import Uncertainty, VehicleState, to_odometry
from worker_pipeline.core.forward_clock import ForwardClock
from worker_pipeline.status import StageStatus


@attrs.frozen
class Clocks:
    """The clocks of this machine, ns: one that never jumps; and that and ROS time of one moment."""

    steady: Callable[[], int] = time.monotonic_ns
    both: Callable[[], tuple[int, int]] = read_clocks


class MavlinkVehicle:
    """Answers with what the vehicle told last. ``params``: those of the stage.

    Raises ValueError where they cannot be, ImportError where what they need is not installed.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        status: StageStatus,
        logger: logging.Logger,
        clocks: Clocks | None = None,
        open_link: Callable[[], OpenLink] | None = None,
    ) -> None:
        self._params = params
        self._address = check_address(params['address'])
        check_libraries(self._address)
        self._status = status
        self._logger = logger
        self._clocks = Clocks() if clocks is None else clocks
        self._open_link = open_link or functools.partial(Link, self._address, params['baud_rate'])
        position_from = params['position_from']
        self._conversation = Conversation(
            Parties(params['system_id'], params['own_system_id'], params['own_component_id']),
            Telemetry(_assumed(params), position_from, params['max_position_age']),
            VehicleClock(round(params['link_delay'] * SECONDS)),
            messages_wanted(params['rate'], position_from),
        )
        self._thread: LinkThread | None = None
        self._begun = self._clocks.steady()
        self._told_home: GeoPoint | None = None
        self._told_problem = ''
        self._last = 0  # the newest stamp given, ns
        self._time = ForwardClock()

    def open(self) -> None:
        """Begin to listen. Whether anybody is there is not asked."""
        self._begun = self._clocks.steady()
        self._thread = LinkThread(
            self._open_link, self._conversation, self._clocks.steady, self._logger
        )
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

    def odometry(self, _tick: Any) -> Any:
        """The newest Odometry that was not given yet, stamped; None if there is none."""
        assert self._thread is not None
        with self._thread.lock:
            newest, self._conversation.newest = self._conversation.newest, None
            local = 0 if newest is None else self._conversation.clock.local(newest.time)
            thread = self._thread
        message = None
        if newest is not None:
            self._time.follow(*self._clocks.both())
            stamp = self._time.ros_time(local)
            if stamp > self._last:
                message = self._message(newest.state, stamp)
            else:
                # The vehicle's clock has just been understood better.
                self._status.count('not_newer')
        self._report(thread)
        return message

    def home(self) -> Any:
        """The vehicle's home as a NavSatFix, once whenever it is another; else None."""
        home = self._conversation.home
        if home is None or home == self._told_home:
            return None
        self._told_home = home
        fix = NavSatFix(latitude=home.latitude, longitude=home.longitude, altitude=home.altitude)
        fix.header.frame_id = 'earth'
        fix.header.stamp.sec, fix.header.stamp.nanosec = divmod(self._clocks.both()[1], SECONDS)
        fix.status.status = NavSatStatus.STATUS_FIX
        fix.status.service = NavSatStatus.SERVICE_GPS
        return fix

    def snapshot(self) -> dict[str, Any]:
        """What a replacement goes on from."""
        return {
            'last': self._last,
            'offset': self._time.offset,
            'clock': self._conversation.clock.snapshot(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from it."""
        self._last, self._time.offset = snapshot['last'], snapshot['offset']
        self._conversation.clock.restore(snapshot['clock'], self._clocks.steady())

    def _message(self, state: VehicleState, stamp: int) -> Any:
        self._last = stamp
        message = to_odometry(state, self._params['frame_id'], self._params['child_frame_id'])
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECONDS)
        return message

    def _report(self, thread: LinkThread) -> None:
        """Say how the link stands."""
        conversation, status = self._conversation, self._status
        for name, count in conversation.counts.items():
            status.set(name, count)
        status.set('links_opened', thread.opened)
        status.set('odometry_from', conversation.source)
        uncertainty = conversation.clock.uncertainty
        if uncertainty is not None:
            status.set('clock_uncertainty_ms', f'{uncertainty / 1e6:.1f}')
        problem = thread.problem
        status.set('link', f'{self._address} {problem or "open"}')
        if problem != self._told_problem and problem:
            self._logger.warning(f'{self._address}: {problem}; trying again')
        self._told_problem = problem
        heard = max(conversation.last_heard or 0, self._begun)
        silent = (self._clocks.steady() - heard) / SECONDS
        if silent > self._params['silence']:
            why = f': {problem}' if problem else ''
            status.warn(f'{self._address} is silent for {silent:.1f} s{why}')
        elif self._time.set_back:
            behind = self._time.set_back / SECONDS
            status.warn(
                f'ROS time was set back by {behind:.3f} s; odometry keeps the time from before'
            )
        else:
            status.ok()


def _assumed(params: Mapping[str, Any]) -> Uncertainty:
    """How well the vehicle is known where it does not say."""
    names = ('position', 'attitude', 'velocity', 'angular_velocity')
    parts = [params[f'{name}_deviation'] for name in names]
    for name, part in zip(names, parts, strict=True):
        if len(part) != 3:
            raise ValueError(f'{name}_deviation: found {len(part)} numbers; allowed: 3')
    return Uncertainty.of_deviations(*parts)
