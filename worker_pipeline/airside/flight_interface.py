"""The stage that says where the vehicle is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nav_msgs.msg import Odometry
from sensor_msgs.msg import TimeReference

from worker_pipeline.airside.ticks import stream_time
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import EndOfStream, Stage


class FlightInterface(Stage):
    """A source: tick to Odometry, in ENU (REP 103), its twist in the body (FLU)."""

    input_type = TimeReference
    output_type = Odometry
    parameters: ClassVar[Mapping[str, Any]] = {
        'vehicle': Parameter('simulated', 'what the odometry comes from', choices=('simulated',)),
        'frame_id': Parameter('map', 'the local frame: east, north, up of the origin'),
        'child_frame_id': Parameter('base_link', "the body's frame"),
        'seed': Parameter(1, 'of the simulated flight', minimum=0),
        'duration': Parameter(0.0, 'of the simulated flight; 0: all of it', 's', minimum=0.0),
    }

    def configure(self) -> None:
        """Get the vehicle ready."""
        from worker_pipeline.simulation.flight import SimulatedFlight

        self._flight = SimulatedFlight(self.params['seed'], self.params['duration'])

    def process(self, item: Any) -> Any:
        """The vehicle at the time the tick asks for; EndOfStream past the end of the flight."""
        time = stream_time(item)
        if time > self._flight.duration:
            raise EndOfStream
        state = self._flight.state(time)
        odometry = Odometry(child_frame_id=self.params['child_frame_id'])
        odometry.header.frame_id = self.params['frame_id']
        pose, twist = odometry.pose.pose, odometry.twist.twist
        _fill(pose.position, state.pose.position)
        _fill(pose.orientation, state.pose.orientation)
        _fill(twist.linear, state.velocity)
        _fill(twist.angular, state.angular_velocity)
        return odometry


def _fill(message: Any, values: Any) -> None:
    for name, value in zip('xyzw'[: len(values)], values, strict=True):
        setattr(message, name, float(value))
