# SPDX-License-Identifier: Apache-2.0
"""The odometry of a vehicle at the other end of a MAVLink link."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from sensor_msgs.msg import NavSatFix, NavSatStatus

from worker_pipeline.airside.common.clocks import read_steady_and_ros_time
from worker_pipeline.airside.mavlink.address import check_address
from worker_pipeline.airside.mavlink.link import Link, OpenLink, check_libraries
from worker_pipeline.airside.mavlink.link_thread import LinkThread
from worker_pipeline.airside.mavlink.session import MavlinkIds, MavlinkSession, messages_wanted
from worker_pipeline.airside.mavlink.telemetry import GeoPoint, Telemetry
from worker_pipeline.airside.mavlink.vehicle_clock import SECONDS, VehicleClock
from worker_pipeline.airside.messages.vehicle_state import Uncertainty, VehicleState, to_odometry
from worker_pipeline.core.monotonic_ros_clock import MonotonicRosClock
from worker_pipeline.status import StageStatus


@attrs.frozen
class Clocks:
    """The clocks of this machine, ns: steady; and steady and ROS time of the same moment."""

    steady: Callable[[], int] = time.monotonic_ns
    both: Callable[[], tuple[int, int]] = read_steady_and_ros_time


class MavlinkOdometrySource:
    """Answers with the newest state received from the vehicle.

    Raises ValueError for an invalid parameter, ImportError for a missing library.

    Args:
        params: The stage's parameters.
        status: The stage's status.
        logger: The stage's logger.
        clocks: The clocks of this machine.
        open_link: Opens a link; by default the one in ``params``.
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
        self._session = MavlinkSession(
            MavlinkIds(params['system_id'], params['own_system_id'], params['own_component_id']),
            Telemetry(_assumed(params), position_from, params['max_position_age']),
            VehicleClock(round(params['link_delay'] * SECONDS)),
            messages_wanted(params['rate'], position_from),
        )
        self._thread: LinkThread | None = None
        self._begun = self._clocks.steady()
        self._reported_home: GeoPoint | None = None
        self._reported_error = ''
        self._last = 0  # the newest stamp returned, ns
        self._time = MonotonicRosClock()

    def open(self) -> None:
        """Start receiving. Does not check whether a vehicle is there."""
        self._begun = self._clocks.steady()
        self._thread = LinkThread(self._open_link, self._session, self._clocks.steady, self._logger)
        self._thread.start()

    def close(self) -> None:
        """Stop receiving."""
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

    def odometry(self, _tick: Any) -> Any:
        """Return the newest Odometry not yet returned, stamped; None if there is none."""
        assert self._thread is not None
        with self._thread.lock:
            newest, self._session.newest = self._session.newest, None
            local = 0 if newest is None else self._session.clock.to_local(newest.time)
            thread = self._thread
        message = None
        if newest is not None:
            self._time.update(*self._clocks.both())
            stamp = self._time.ros_time(local)
            if stamp > self._last:
                message = self._message(newest.state, stamp)
            else:
                # The estimate of the vehicle's clock has just improved.
                self._status.count('not_newer')
        self._report(thread)
        return message

    def home(self) -> Any:
        """Return the vehicle's home as a NavSatFix whenever it has changed; else None."""
        home = self._session.home
        if home is None or home == self._reported_home:
            return None
        self._reported_home = home
        fix = NavSatFix(latitude=home.latitude, longitude=home.longitude, altitude=home.altitude)
        fix.header.frame_id = 'earth'
        fix.header.stamp.sec, fix.header.stamp.nanosec = divmod(self._clocks.both()[1], SECONDS)
        fix.status.status = NavSatStatus.STATUS_FIX
        fix.status.service = NavSatStatus.SERVICE_GPS
        return fix

    def snapshot(self) -> dict[str, Any]:
        """Return the state for a replacement."""
        return {
            'last': self._last,
            'offset': self._time.offset,
            'clock': self._session.clock.snapshot(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore the state of a previous worker."""
        self._last, self._time.offset = snapshot['last'], snapshot['offset']
        self._session.clock.restore(snapshot['clock'], self._clocks.steady())

    def _message(self, state: VehicleState, stamp: int) -> Any:
        self._last = stamp
        message = to_odometry(state, self._params['frame_id'], self._params['child_frame_id'])
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECONDS)
        return message

    def _report(self, thread: LinkThread) -> None:
        """Update the status from the state of the link."""
        session, status = self._session, self._status
        for name, count in session.counts.items():
            status.set(name, count)
        status.set('links_opened', thread.open_count)
        status.set('odometry_from', session.source)
        uncertainty = session.clock.uncertainty
        if uncertainty is not None:
            status.set('clock_uncertainty_ms', f'{uncertainty / 1e6:.1f}')
        problem = thread.error_message
        status.set('link', f'{self._address} {problem or "open"}')
        if problem != self._reported_error and problem:
            self._logger.warning(f'{self._address}: {problem}; trying again')
        self._reported_error = problem
        last_received = max(session.last_received or 0, self._begun)
        silent = (self._clocks.steady() - last_received) / SECONDS
        if silent > self._params['silence']:
            why = f': {problem}' if problem else ''
            status.warn(f'{self._address} is silent for {silent:.1f} s{why}')
        elif self._time.set_back:
            behind = self._time.set_back / SECONDS
            status.warn(
                f'ROS time was set back by {behind:.3f} s; '
                'odometry continues with the previous time'
            )
        else:
            status.ok()


def _assumed(params: Mapping[str, Any]) -> Uncertainty:
    """Return the uncertainty to assume where the vehicle reports none."""
    names = ('position', 'attitude', 'velocity', 'angular_velocity')
    parts = [params[f'{name}_deviation'] for name in names]
    for name, part in zip(names, parts, strict=True):
        if len(part) != 3:
            raise ValueError(f'{name}_deviation: found {len(part)} numbers; allowed: 3')
    return Uncertainty.from_deviations(*parts)
