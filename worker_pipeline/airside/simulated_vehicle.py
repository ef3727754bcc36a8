"""The vehicle of the simulated flight, without any link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensor_msgs.msg import NavSatFix, NavSatStatus

from worker_pipeline.airside.ticks import stream_time
from worker_pipeline.airside.vehicle_state import Uncertainty, VehicleState, to_odometry
from worker_pipeline.simulation.flight import SimulatedFlight
from worker_pipeline.simulation.sensors import NoisyFlight
from worker_pipeline.stage import EndOfStream

# What is exact is still not told as better than anybody would need it.
_EXACT = Uncertainty.of_deviations(*([deviation] * 3 for deviation in (0.01, 0.001, 0.01, 0.001)))


class SimulatedVehicle:
    """Answers with the flight at the time the tick asks for. ``params``: those of the stage."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self._flight = SimulatedFlight(params['seed'], params['duration'])
        self._measured = NoisyFlight(self._flight, params['seed']) if params['noise'] else None
        self._home_is_told = False

    def open(self) -> None:
        """There is nothing to be opened."""

    def close(self) -> None:
        """Nor to be closed."""

    def odometry(self, tick: Any) -> Any:
        """The vehicle at the time the tick asks for; EndOfStream past the end of the flight."""
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
        """The origin, once."""
        if self._home_is_told:
            return None
        self._home_is_told = True
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
        """Nothing: all is a function of time."""
        return None

    def restore(self, snapshot: Any) -> None:
        """Nothing was kept."""
