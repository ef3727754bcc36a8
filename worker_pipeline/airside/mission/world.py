# SPDX-License-Identifier: Apache-2.0
"""The environment of a mission: a vehicle on one MAVLink link, and the ground on another."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import attrs

from worker_pipeline.airside.mission.ports import free_port
from worker_pipeline.airside.mission.program import Program, start_vehicle
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.ground_station import GroundStation


@attrs.frozen
class World:
    """The vehicle and the ground station."""

    flight: SimulatedFlight
    begin: float  # of the flight, s since 1970
    address: str  # of the vehicle, in pymavlink's notation
    vehicle: Program
    ground: GroundStation


def start_world(
    flight: SimulatedFlight, seed: int, start_up: float, out: Path, held: contextlib.ExitStack
) -> World:
    """Start a hovering vehicle and a ground station.

    Args:
        flight: The flight of the vehicle.
        seed: Seed of its errors.
        start_up: s until the flight begins.
        out: The folder for the vehicle's log.
        held: Closes both at its end.
    """
    ground = GroundStation()
    held.callback(ground.close)
    begin = time.time() + start_up
    port = free_port()
    vehicle = start_vehicle(flight, seed, begin, f'udpout:127.0.0.1:{port}', out / 'vehicle.log')
    held.callback(vehicle.stop)
    return World(flight, begin, f'udpin:127.0.0.1:{port}', vehicle, ground)
