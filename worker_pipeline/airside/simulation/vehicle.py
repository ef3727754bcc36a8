# SPDX-License-Identifier: Apache-2.0
"""A simulated vehicle on a real MAVLink link, in real time.

    python -m worker_pipeline.airside.simulation.vehicle --connection udpout:127.0.0.1:14550

It acts as the autopilot of the simulated flight: it sends HEARTBEAT, SYSTEM_TIME, ATTITUDE,
ATTITUDE_QUATERNION, LOCAL_POSITION_NED, GLOBAL_POSITION_INT, ODOMETRY and HOME_POSITION, at the
rates requested by SET_MESSAGE_INTERVAL, and answers TIMESYNC and REQUEST_MESSAGE. Its measurements
have the errors of :mod:`worker_pipeline.airside.simulation.sensors`, and its clock starts at its
boot. It runs until it is stopped; after the flight it hovers.
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
from worker_pipeline.airside.simulation.autopilot import SECONDS, BootClock, SimulatedAutopilot
from worker_pipeline.airside.simulation.flight import SimulatedFlight, SurveyPlan
from worker_pipeline.airside.simulation.lossy_link import LinkQuality
from worker_pipeline.airside.simulation.sensors import ErrorModel, SensorNoise

_POLL_PERIOD = 0.02  # s, longest wait for data from the link
_REOPEN_DELAY = 0.2  # s, before a lost link is reopened


class AutopilotServer:
    """Serves a simulated autopilot over a link; ``run`` blocks until ``stop``.

    Args:
        autopilot: The autopilot.
        address: The address of the link, in pymavlink's notation.
        baud_rate: bit/s, of a serial device.
    """

    def __init__(
        self, autopilot: SimulatedAutopilot, address: str, baud_rate: int = 115200
    ) -> None:
        self.autopilot = autopilot
        self._address = address
        self._baud_rate = baud_rate
        self._stopping = threading.Event()

    def run(self) -> None:
        """Serve until stopped. A link that is lost or not available yet is opened again."""
        while not self._stopping.is_set():
            with contextlib.suppress(OSError):
                self._serve()
            self._stopping.wait(_REOPEN_DELAY)

    def stop(self) -> None:
        """Make ``run`` return; may be called from any thread."""
        self._stopping.set()

    def _serve(self) -> None:
        link = Link(self._address, self._baud_rate)
        try:
            while not self._stopping.is_set():
                now = time.time_ns()
                for data in self.autopilot.messages_to_send(now):
                    link.write(data)
                wait = (self.autopilot.next_time() - time.time_ns()) / SECONDS
                data = link.read(min(max(wait, 0.0), _POLL_PERIOD))
                if data:
                    self.autopilot.receive_data(data, time.time_ns())
        finally:
            link.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a vehicle from the command line; 0 when it is stopped, 2 for invalid arguments."""
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
    vehicle = AutopilotServer(autopilot, address, given.baud_rate)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: vehicle.stop())
    if given.with_stdin:
        threading.Thread(target=_stop_at_end_of_input, args=(vehicle,), daemon=True).start()
    print(f'vehicle: serving {address}; the flight begins at {begin / SECONDS:.6f}', flush=True)
    vehicle.run()
    return 0


def _stop_at_end_of_input(vehicle: AutopilotServer) -> None:
    sys.stdin.buffer.read()
    vehicle.stop()


def _scaled(factor: float) -> SensorNoise:
    """Return the default errors multiplied by a factor."""
    noise = SensorNoise()

    def scaled(error: ErrorModel) -> ErrorModel:
        wander, white = ([factor * each for each in part] for part in (error.wander, error.white))
        return ErrorModel(
            (wander[0], wander[1], wander[2]),
            error.correlation_time,
            (white[0], white[1], white[2]),
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
        prog='python -m worker_pipeline.airside.simulation.vehicle',
        description='Simulate the autopilot of the simulated flight over MAVLink.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add('--connection', default='udpout:127.0.0.1:14550', help="address in pymavlink's notation")
    add('--baud-rate', type=int, default=115200, help='baud rate of a serial device, bit/s')
    add('--system-id', type=int, default=1, help='MAVLink system id of the vehicle')
    add('--seed', type=int, default=1, help='seed of the flight, the errors and the link')
    add('--begin', type=float, default=0.0, help='start of the flight, s since 1970; 0: now')
    add(
        '--duration', type=float, default=0.0, help='duration of the flight, s; 0: the whole flight'
    )
    add('--wind-east', type=float, default=0.0, help='mean wind towards east, m/s')
    add('--wind-north', type=float, default=0.0, help='mean wind towards north, m/s')
    add('--gusts', type=float, default=0.0, help='standard deviation of the wind, m/s')
    add('--noise', type=float, default=1.0, help='factor of the default errors; 0: exact')
    add('--uptime', type=float, default=30.0, help='time since boot at the start, s')
    add('--clock-drift', type=float, default=20.0, help='error of its clock rate, ppm')
    add('--latency', type=float, default=quality.latency, help='smallest delay of a message, s')
    add('--jitter', type=float, default=quality.jitter, help='mean of the additional delay, s')
    add('--loss', type=float, default=quality.loss, help='share of messages that are lost')
    add(
        '--dropouts',
        type=float,
        default=quality.dropouts,
        help='dropouts per minute, each losing all messages',
    )
    add(
        '--with-stdin',
        action='store_true',
        help='exit at the end of standard input, as when the parent process has died',
    )
    add(
        '--dropout-time',
        type=float,
        default=quality.dropout_time,
        help='mean duration of a dropout, s',
    )
    return parser


if __name__ == '__main__':
    sys.exit(main())
