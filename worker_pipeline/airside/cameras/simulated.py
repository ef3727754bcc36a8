"""The camera of the simulated flight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker_pipeline.airside.image import Pixels
from worker_pipeline.airside.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.simulation.flight import SimulatedFlight
from worker_pipeline.simulation.imagery import load_photograph
from worker_pipeline.simulation.pads import REFERENCE_PADS
from worker_pipeline.simulation.renderer import Renderer
from worker_pipeline.stage import EndOfStream


class SimulatedCamera:
    """Looks down from the simulated flight on the photograph and the pads."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._flight = SimulatedFlight(params['seed'], params['duration'])
        self._mounting = Mounting.of(params)
        ground = load_photograph(params['path'])
        self._renderer = Renderer(ground, REFERENCE_PADS, PinholeCamera.of(params))

    def frame(self, time: float) -> Pixels:
        """What the camera sees at this time of the flight."""
        if time > self._flight.duration:
            raise EndOfStream
        pose = self._flight.state(time).pose
        return self._renderer.render(CameraPose.of(pose, self._mounting))

    def close(self) -> None:
        """Nothing is held open."""
