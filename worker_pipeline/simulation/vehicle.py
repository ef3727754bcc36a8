"""A simulated vehicle on a real MAVLink link, in real time.

    python -m worker_pipeline.simulation.vehicle --connection udpout:127.0.0.1:14550 --seed 1

It plays the autopilot of the simulated flight: HEARTBEAT, SYSTEM_TIME, ATTITUDE,
ATTITUDE_QUATERNION, LOCAL_POSITION_NED, GLOBAL_POSITION_INT, ODOMETRY and HOME_POSITION, as often
as SET_MESSAGE_INTERVAL asks for them, and answers to TIMESYNC and REQUEST_MESSAGE. It measures with
the errors of :mod:`worker_pipeline.simulation.sensors`, and its clock begins at its boot. It flies
until it is stopped; after the flight it stands still in the air.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Sequence

import attrs

from worker_pipeline.airside.mavlink.address import check_address
from worker_pipeline.airside.mavlink.link import Link
from worker_pipeline.simulation.autopilot import SECONDS, BootClock, SimulatedAutopilot
from worker_pipeline.simulation.flight import SimulatedFlight, SurveyPlan
from worker_pipeline.simulation.lossy_link import LinkQuality
from worker_pipeline.simulation.sensors import Error, SensorNoise

_ROUND = 0.02  # s, at most between two looks at the link
_AGAIN = 0.2  # s, until a link that was lost is opened again


class SimulatedVehicle:
    """An autopilot and its link; ``run`` carries it until ``stop``."""

    def __init__(
        self, autopilot: SimulatedAutopilot, address: str, baud_rate: int = 115200
    ) -> None:
        self.autopilot = autopilot
        self._address = address
        self._baud_rate = baud_rate
        self._stopping = threading.Event()

    def run(self) -> None:
        """Fly. A link that is lost, or not there yet, is opened again."""
        while not self._stopping.is_set():
            with contextlib.suppress(OSError):
                self._carry()
            self._stopping.wait(_AGAIN)

    def stop(self) -> None:
        """Let ``run`` return; any thread may say so."""
        self._stopping.set()

    def _carry(self) -> None:
        link = Link(self._address, self._baud_rate)
        try:
            while not self._stopping.is_set():
                now = time.time_ns()
                for data in self.autopilot.to_send(now):
                    link.write(data)
                wait = (self.autopilot.next_time() - time.time_ns()) / SECONDS
                data = link.read(min(max(wait, 0.0), _ROUND))
                if data:
                    self.autopilot.received(data, time.time_ns())
        finally:
            link.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one from the command line; 0 when it is stopped, 2 where the arguments cannot be."""
    given = _parser().parse_args(arguments)
    try:
        address = check_address(given.connection)
    except ValueError as error:
        print(f'vehicle: connection: {error}', file=sys.stderr)
        return 2
    begin = round(given.begin * SECONDS) if given.begin else time.time_ns()
    plan = SurveyPlan(wind=(given.wind_east, given.wind_north), gusts=given.gusts)
    autopilot = SimulatedAutopilot(
        SimulatedFlight(given.seed, given.duration, plan),
        begin,
        BootClock(time.time_ns(), round(given.uptime * 1e6), given.clock_drift),
        given.seed,
        _scaled(given.noise),
        LinkQuality(given.latency, given.jitter, given.loss, given.dropouts, given.dropout_time),
        system_id=given.system_id,
    )
    vehicle = SimulatedVehicle(autopilot, address, given.baud_rate)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: vehicle.stop())
    if given.with_stdin:
        threading.Thread(target=_stop_at_end_of_input, args=(vehicle,), daemon=True).start()
    print(f'vehicle: flies at {address}; the flight begins at {begin / SECONDS:.6f}', flush=True)
    vehicle.run()
    return 0


def _stop_at_end_of_input(vehicle: SimulatedVehicle) -> None:
    sys.stdin.buffer.read()
    vehicle.stop()


def _scaled(factor: float) -> SensorNoise:
    """The usual errors, times a factor."""
    noise = SensorNoise()

    def scaled(error: Error) -> Error:
        wander, white = ([factor * each for each in part] for part in (error.wander, error.white))
        return Error(
            (wander[0], wander[1], wander[2]), error.remembered, (white[0], white[1], white[2])
        )

    return attrs.evolve(
        noise,
        position=scaled(noise.position),
        attitude=scaled(noise.attitude),
        velocity=scaled(noise.velocity),
        angular_velocity=scaled(noise.angular_velocity),
    )


def _parser() -> argparse.ArgumentParser:
    quality = LinkQuality()
    parser = argparse.ArgumentParser(
        prog='python -m worker_pipeline.simulation.vehicle',
        description='Play the autopilot of the simulated flight over MAVLink.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add('--connection', default='udpout:127.0.0.1:14550', help='as pymavlink writes addresses')
    add('--baud-rate', type=int, default=115200, help='bit/s, of a serial device')
    add('--system-id', type=int, default=1, help="the vehicle's number in MAVLink")
    add('--seed', type=int, default=1, help='of the flight, the errors and the link')
    add('--begin', type=float, default=0.0, help='of the flight, s since 1970; 0: now')
    add('--duration', type=float, default=0.0, help='of the flight, s; 0: all of it')
    add('--wind-east', type=float, default=0.0, help='m/s, where it blows to')
    add('--wind-north', type=float, default=0.0, help='m/s, where it blows to')
    add('--gusts', type=float, default=0.0, help='m/s, standard deviation of the wind')
    add(
        '--noise', type=float, default=1.0, help='factor of the usual errors; 0: it knows the truth'
    )
    add('--uptime', type=float, default=30.0, help='s since its boot, when it starts')
    add('--clock-drift', type=float, default=20.0, help='ppm, how much too fast its clock is')
    add('--latency', type=float, default=quality.latency, help='s, that each message takes')
    add('--jitter', type=float, default=quality.jitter, help='s, mean of what comes on top')
    add('--loss', type=float, default=quality.loss, help='share of the messages that are lost')
    add('--dropouts', type=float, default=quality.dropouts, help='a minute, in which all is lost')
    add(
        '--with-stdin',
        action='store_true',
        help='end when the standard input does, as it does when whoever started it is no more',
    )
    add('--dropout-time', type=float, default=quality.dropout_time, help='s, mean of a dropout')
    return parser


if __name__ == '__main__':
    sys.exit(main())
