# SPDX-License-Identifier: Apache-2.0
"""The odometry of the simulated flight, without a link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensor_msgs.msg import NavSatFix, NavSatStatus

from worker_pipeline.airside.messages.ticks import stream_time
from worker_pipeline.airside.messages.vehicle_state import Uncertainty, VehicleState, to_odometry
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.sensors import NoisyFlight
from worker_pipeline.stage import EndOfStream

# An exact value is still reported with a small uncertainty.
_EXACT = Uncertainty.from_deviations(*([deviation] * 3 for deviation in (0.01, 0.001, 0.01, 0.001)))


class SimulatedOdometrySource:
    """Answers with the flight at the time of the tick. ``params``: those of the stage."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self._flight = SimulatedFlight(params['seed'], params['duration'])
        self._measured = NoisyFlight(self._flight, params['seed']) if params['noise'] else None
        self._home_is_reported = False

    def open(self) -> None:
        """Do nothing: there is no link."""

    def close(self) -> None:
        """Do nothing: there is no link."""

    def odometry(self, tick: Any) -> Any:
        """Return the odometry at the time of the tick; EndOfStream past the end of the flight."""
        time = stream_time(tick)
        if time > self._flight.duration:
            raise EndOfStream
        if self._measured is not None:
            state = self._measured.odometry(time)
        else:
            truth = self._flight.state(time)
            state = VehicleState(truth.pose, truth.velocity, truth.angular_velocity, _EXACT)
        return to_odometry(state, self._params['frame_id'], self._params['child_frame_id'])

    def home(self) -> Any:
        """Return the origin, once."""
        if self._home_is_reported:
            return None
        self._home_is_reported = True
        fix = NavSatFix(
            latitude=self._params['home_latitude'],
            longitude=self._params['home_longitude'],
            altitude=self._params['home_altitude'],
        )
        fix.header.frame_id = 'earth'
        fix.status.status = NavSatStatus.STATUS_FIX
        fix.status.service = NavSatStatus.SERVICE_GPS
        return fix

    def snapshot(self) -> Any:
        """Return nothing: everything is a function of time."""
        return None

    def restore(self, snapshot: Any) -> None:
        """Do nothing: there is no state."""
