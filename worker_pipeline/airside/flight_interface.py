"""The stage that says where the vehicle is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from nav_msgs.msg import Odometry
from sensor_msgs.msg import NavSatFix, TimeReference

from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage
from worker_pipeline.topic import Latched


class Vehicle(Protocol):
    """Where the odometry comes from."""

    def open(self) -> None:
        """Begin to listen."""

    def close(self) -> None:
        """Listen no more."""

    def odometry(self, tick: Any) -> Any:
        """What there is to say at a tick; None where there is nothing new."""

    def home(self) -> Any:
        """The vehicle's home as a NavSatFix, whenever it is another; else None."""

    def snapshot(self) -> Any:
        """What a replacement goes on from, as JSON has it."""

    def restore(self, snapshot: Any) -> None:
        """Go on from it."""


class FlightInterface(Stage):
    """A source: tick to Odometry, in ENU (REP 103), its twist in the body (FLU).

    From MAVLink each answer is what the vehicle told last, stamped with the vehicle's own time of
    it; a tick since which it told nothing is answered with nothing. ``period`` limits the rate:
    as what needs the pose of an image interpolates, 0.02 to 0.05 s will do.
    """

    input_type = TimeReference
    output_type = Odometry
    topics: ClassVar[Mapping[str, Any]] = {'home': Latched(NavSatFix)}
    parameters: ClassVar[Mapping[str, Any]] = {
        'source': Parameter(
            'simulated', 'what the odometry comes from', choices=('simulated', 'mavlink')
        ),
        'frame_id': Parameter('map', 'the local frame: east, north, up of the origin'),
        'child_frame_id': Parameter('base_link', "the body's frame"),
        'address': Parameter(
            'udpin:127.0.0.1:14550',
            'MAVLink: udpin, udpout, tcp or tcpin:HOST:PORT, or a serial device, as in pymavlink',
        ),
        'baud_rate': Parameter(115200, 'MAVLink: of a serial device', 'bit/s', minimum=1),
        'rate': Parameter(
            50.0,
            'MAVLink: how often the vehicle is asked to tell; 0: it is asked for nothing',
            '1/s',
            0.0,
            1000.0,
        ),
        'position_from': Parameter(
            'auto',
            'MAVLink: the message that is used; auto: the best that comes, best first',
            choices=('auto', 'ODOMETRY', 'LOCAL_POSITION_NED', 'GLOBAL_POSITION_INT'),
        ),
        'system_id': Parameter(1, 'MAVLink: of the vehicle; 0: of the first', '', 0, 255),
        'own_system_id': Parameter(1, 'MAVLink: ours', '', 1, 255),
        'own_component_id': Parameter(191, 'MAVLink: ours; 191: onboard computer', '', 1, 255),
        'silence': Parameter(1.0, 'MAVLink: a link silent for longer is told of', 's', 0.1),
        'link_delay': Parameter(
            0.0, 'MAVLink: of a message, where the vehicle answers no TIMESYNC', 's', 0.0, 1.0
        ),
        'max_position_age': Parameter(
            0.5, 'MAVLink: a position is moved on by its velocity for so long', 's', 0.0, 10.0
        ),
        'position_deviation': Parameter(
            [1.0, 1.0, 1.5], 'east, north, up; where the vehicle tells none', 'm', 0.0
        ),
        'attitude_deviation': Parameter(
            [0.01, 0.01, 0.035], 'roll, pitch, yaw; where the vehicle tells none', 'rad', 0.0
        ),
        'velocity_deviation': Parameter(
            [0.1, 0.1, 0.1], 'in the body; where the vehicle tells none', 'm/s', 0.0
        ),
        'angular_velocity_deviation': Parameter(
            [0.01, 0.01, 0.01], 'in the body; where the vehicle tells none', 'rad/s', 0.0
        ),
        'seed': Parameter(1, 'of the simulated flight, and of its noise', minimum=0),
        'duration': Parameter(0.0, 'of the simulated flight; 0: all of it', 's', minimum=0.0),
        'noise': Parameter(False, 'simulated: as GPS and an autopilot measure, or exact'),
        'home_latitude': Parameter(44.95936602, 'simulated: WGS 84', 'degree', -90.0, 90.0),
        'home_longitude': Parameter(-110.63865039, 'simulated: WGS 84', 'degree', -180.0, 180.0),
        'home_altitude': Parameter(2000.0, 'simulated', 'm'),
    }

    _vehicle: Vehicle

    def configure(self) -> None:
        """Get ready. ValueError names what cannot be, ImportError what is not installed."""
        self._vehicle = self._chosen()

    def activate(self) -> None:
        """Begin to listen. Only now: a link may be no other worker's at the same time."""
        self._vehicle.open()

    def process(self, item: Any) -> Any:
        """The vehicle, as the tick asks for it or as it told last; EndOfStream after the flight."""
        odometry = self._vehicle.odometry(item)
        home = self._vehicle.home()
        if home is not None:
            self.topic['home'].publish(home)
        return odometry

    def save_state(self) -> bytes:
        """The last stamp, and the vehicle's clock."""
        return json.dumps(self._vehicle.snapshot()).encode()

    def restore_state(self, state: bytes) -> None:
        """Stamps go on from there."""
        self._vehicle.restore(json.loads(state))

    def deactivate(self) -> None:
        """Listen no more."""
        self._vehicle.close()

    def _chosen(self) -> Vehicle:
        # Imported here: on board nothing is simulated, and a simulation needs no MAVLink.
        if self.params['source'] == 'mavlink':
            from worker_pipeline.airside.mavlink.vehicle import MavlinkVehicle

            return MavlinkVehicle(self.params, self.status, self.logger)
        from worker_pipeline.airside.simulated_vehicle import SimulatedVehicle

        return SimulatedVehicle(self.params)
