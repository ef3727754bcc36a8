# SPDX-License-Identifier: Apache-2.0
"""The stage that publishes the odometry of the vehicle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from nav_msgs.msg import Odometry
from sensor_msgs.msg import NavSatFix, TimeReference

from worker_pipeline.airside.messages import transforms
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage
from worker_pipeline.topic import Latched


class OdometrySource(Protocol):
    """A source of odometry for the stage."""

    def open(self) -> None:
        """Start receiving."""

    def close(self) -> None:
        """Stop receiving."""

    def odometry(self, tick: Any) -> Any:
        """Return the odometry for a tick; None if there is nothing new."""

    def home(self) -> Any:
        """Return the vehicle's home as a NavSatFix whenever it has changed; else None."""

    def snapshot(self) -> Any:
        """Return the state for a replacement, as JSON values."""

    def restore(self, snapshot: Any) -> None:
        """Restore the state of a previous worker."""


class FlightInterface(Stage[TimeReference, Odometry]):
    """Source stage: from ticks to Odometry in ENU (REP 103), with the twist in the body (FLU).

    With MAVLink, each answer is the newest state received, stamped with the vehicle's own time of
    it; a tick without a newer state is answered with None. ``period`` limits the rate: poses of
    images are interpolated, so 0.02 to 0.05 s is enough.
    """

    input_type = TimeReference
    output_type = Odometry
    topics: ClassVar[Mapping[str, Any]] = {
        'home': Latched(NavSatFix),
        **transforms.tf_topics(),
    }
    parameters: ClassVar[Mapping[str, Any]] = {
        'source': Parameter(
            'simulated', 'source of the odometry', choices=('simulated', 'mavlink')
        ),
        'frame_id': Parameter('map', 'local frame: east, north, up of the origin'),
        'child_frame_id': Parameter('base_link', 'frame of the body'),
        **transforms.publish_tf_parameter('the pose of the body', default=True),
        'address': Parameter(
            'udpin:127.0.0.1:14550',
            'MAVLink: udpin, udpout, tcp or tcpin:HOST:PORT, or a serial device, as in pymavlink',
        ),
        'baud_rate': Parameter(115200, 'MAVLink: baud rate of a serial device', 'bit/s', minimum=1),
        'rate': Parameter(
            50.0,
            'MAVLink: rate of the messages requested from the vehicle; 0: no requests',
            '1/s',
            0.0,
            1000.0,
        ),
        'position_from': Parameter(
            'auto',
            'MAVLink: message to take the position from; auto: the best one received',
            choices=('auto', 'ODOMETRY', 'LOCAL_POSITION_NED', 'GLOBAL_POSITION_INT'),
        ),
        'system_id': Parameter(
            1, 'MAVLink: system id of the vehicle; 0: of the first one received', '', 0, 255
        ),
        'own_system_id': Parameter(1, 'MAVLink: our system id', '', 1, 255),
        'own_component_id': Parameter(
            191, 'MAVLink: our component id; 191: onboard computer', '', 1, 255
        ),
        'silence': Parameter(
            1.0, 'MAVLink: time without a message before the link is reported as silent', 's', 0.1
        ),
        'link_delay': Parameter(
            0.0, 'MAVLink: delay of a message, if the vehicle answers no TIMESYNC', 's', 0.0, 1.0
        ),
        'max_position_age': Parameter(
            0.5, 'MAVLink: longest extrapolation of a position by its velocity', 's', 0.0, 10.0
        ),
        'position_deviation': Parameter(
            [1.0, 1.0, 1.5],
            'standard deviation of east, north, up if the vehicle reports none',
            'm',
            0.0,
        ),
        'attitude_deviation': Parameter(
            [0.01, 0.01, 0.035],
            'standard deviation of roll, pitch, yaw if the vehicle reports none',
            'rad',
            0.0,
        ),
        'velocity_deviation': Parameter(
            [0.1, 0.1, 0.1],
            'standard deviation in the body if the vehicle reports none',
            'm/s',
            0.0,
        ),
        'angular_velocity_deviation': Parameter(
            [0.01, 0.01, 0.01],
            'standard deviation in the body if the vehicle reports none',
            'rad/s',
            0.0,
        ),
        'seed': Parameter(1, 'seed of the simulated flight and of its noise', minimum=0),
        'duration': Parameter(
            0.0, 'duration of the simulated flight; 0: the whole flight', 's', minimum=0.0
        ),
        'noise': Parameter(False, 'simulated: errors as of GPS and an autopilot, or none'),
        'home_latitude': Parameter(
            44.95936602, 'simulated: latitude of the home, WGS 84', 'degree', -90.0, 90.0
        ),
        'home_longitude': Parameter(
            -110.63865039, 'simulated: longitude of the home, WGS 84', 'degree', -180.0, 180.0
        ),
        'home_altitude': Parameter(2000.0, 'simulated: altitude of the home', 'm'),
    }

    _source: OdometrySource

    def configure(self) -> None:
        """Create the source. ValueError: an invalid parameter; ImportError: a missing library."""
        self._source = self._make_source()

    def activate(self) -> None:
        """Start receiving. Not earlier: two workers may not use one link at the same time."""
        self._source.open()

    def process(self, item: TimeReference) -> Odometry | None:
        """Return the odometry for a tick, or None; EndOfStream after a simulated flight."""
        odometry = self._source.odometry(item)
        home = self._source.home()
        if home is not None:
            self.topic['home'].publish(home)
        if odometry is not None and self.params['publish_tf']:
            transforms.publish_odometry(odometry, self.topic, item.header.stamp)
        return odometry

    def save_state(self) -> bytes:
        """Return the last stamp and the vehicle's clock."""
        return json.dumps(self._source.snapshot()).encode()

    def restore_state(self, state: bytes) -> None:
        """Restore the last stamp and the vehicle's clock, so that stamps keep increasing."""
        self._source.restore(json.loads(state))

    def deactivate(self) -> None:
        """Stop receiving."""
        self._source.close()

    def _make_source(self) -> OdometrySource:
        # Imported here: on board nothing is simulated, and a simulation needs no MAVLink.
        if self.params['source'] == 'mavlink':
            from worker_pipeline.airside.mavlink.odometry_source import MavlinkOdometrySource

            return MavlinkOdometrySource(self.params, self.status, self.logger)
        from worker_pipeline.airside.simulation.odometry_source import SimulatedOdometrySource

        return SimulatedOdometrySource(self.params)
