"""The camera of the simulated flight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker_pipeline.airside.cameras import Asked, Frame, Room
from worker_pipeline.airside.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.simulation.flight import SimulatedFlight
from worker_pipeline.simulation.imagery import load_photograph
from worker_pipeline.simulation.pads import REFERENCE_PADS
from worker_pipeline.simulation.renderer import Renderer
from worker_pipeline.stage import EndOfStream


class SimulatedCamera:
    """Looks down from the simulated flight on the photograph and the pads.

    ``room``: where images are drawn.
    """

    trouble = ''

    def __init__(self, params: Mapping[str, Any], room: Room) -> None:
        self._room = room
        self._flight = SimulatedFlight(params['seed'], params['duration'])
        self._begin = round(params['flight_begin'] * NANOSECONDS)
        self._mounting = Mounting.of(params)
        ground = load_photograph(params['path'])
        camera = PinholeCamera.of(params)
        self.size = camera.width, camera.height
        self._renderer = Renderer(ground, REFERENCE_PADS, camera)

    def frame(self, asked: Asked, after: int) -> Frame | None:
        """What the camera sees at this very moment of the flight; None before it."""
        since = asked.stamp - self._begin if self._begin else asked.time
        time = since / NANOSECONDS
        if time > self._flight.duration:
            raise EndOfStream
        if time < 0 or asked.stamp <= after:
            return None
        pose = self._flight.state(time).pose
        seen = CameraPose.of(pose, self._mounting)
        return Frame(self._renderer.render(seen, self._room()), asked.stamp)

    def close(self) -> None:
        """Nothing is held open."""
