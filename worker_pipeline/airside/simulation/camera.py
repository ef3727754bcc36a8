# SPDX-License-Identifier: Apache-2.0
"""The camera of the simulated flight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker_pipeline.airside.cameras import CameraFrame, FrameRequest, ImageAllocator
from worker_pipeline.airside.geometry.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.imagery import load_photograph
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS
from worker_pipeline.airside.simulation.renderer import Renderer
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.stage import EndOfStream


class SimulatedCamera:
    """The view from the simulated flight of the photograph and the pads.

    ``allocate``: returns the buffer in which an image is drawn.
    """

    error_message = ''

    def __init__(self, params: Mapping[str, Any], allocate: ImageAllocator) -> None:
        self._allocate = allocate
        self._flight = SimulatedFlight(params['seed'], params['duration'])
        self._begin = round(params['flight_begin'] * NANOSECONDS)
        self._mounting = Mounting.from_params(params)
        ground = load_photograph(params['path'])
        camera = PinholeCamera.from_params(params)
        self.size = camera.width, camera.height
        self._renderer = Renderer(ground, REFERENCE_PADS, camera)

    def frame(self, request: FrameRequest, after: int) -> CameraFrame | None:
        """Return the image at the requested moment of the flight; None before the flight."""
        since = request.stamp - self._begin if self._begin else request.time
        time = since / NANOSECONDS
        if time > self._flight.duration:
            raise EndOfStream
        if time < 0 or request.stamp <= after:
            return None
        pose = self._flight.state(time).pose
        seen = CameraPose.from_body(pose, self._mounting)
        return CameraFrame(self._renderer.render(seen, self._allocate()), request.stamp)

    def close(self) -> None:
        """Do nothing: no device is held open."""
