"""What a mission has around it: a vehicle on a MAVLink link, and the ground on another one."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import attrs

from worker_pipeline.mission.ports import free_port
from worker_pipeline.mission.program import Program, start_vehicle
from worker_pipeline.simulation.flight import SimulatedFlight
from worker_pipeline.simulation.ground_station import GroundStation


@attrs.frozen
class World:
    """The vehicle that flies, and the ground that listens."""

    flight: SimulatedFlight
    begin: float  # of the flight, s since 1970
    address: str  # at which the vehicle is heard, as pymavlink writes it
    vehicle: Program
    ground: GroundStation


def set_out(
    flight: SimulatedFlight, seed: int, start_up: float, out: Path, held: contextlib.ExitStack
) -> World:
    """Have a vehicle hover, and the ground listen."""
    ground = GroundStation()
    held.callback(ground.close)
    begin = time.time() + start_up
    port = free_port()
    vehicle = start_vehicle(flight, seed, begin, f'udpout:127.0.0.1:{port}', out / 'vehicle.log')
    held.callback(vehicle.stop)
    return World(flight, begin, f'udpin:127.0.0.1:{port}', vehicle, ground)
