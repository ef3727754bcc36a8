# SPDX-License-Identifier: Apache-2.0
"""Flights for measuring accuracy: the odometry of the vehicle, and the detections of pads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from benchmarks.accuracy.chain import parameters, ready
from benchmarks.detectors import CONDITIONS
from worker_pipeline.airside.detect_target import DetectTarget
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.geometry.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.messages import image, point_cloud
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import DETECTION, NO_LABEL
from worker_pipeline.airside.messages.vehicle_state import VehicleState
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.imagery import Orthophoto
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS, Pad
from worker_pipeline.airside.simulation.renderer import Renderer
from worker_pipeline.airside.simulation.sensors import ErrorModel, NoisyFlight, SensorNoise
from worker_pipeline.parameter import check_parameters

PERIOD = 0.1  # s, between two frames
# Interval of the odometry, s: 20 to 50 per second, irregular.
ODOMETRY_PERIODS = (0.02, 0.05)
# A detection farther than this from a pad is not of that pad, pixels.
NEAR = 10.0
# As in frames from a good camera: blurred by 1 pixel, with noise of 5 grey levels.
CONDITION = CONDITIONS[1]
# The marker's part of its board, around which the detector puts a box.
MARKER_SHARE = 0.8
PLACES: Vector = np.array([[pad.east, pad.north] for pad in REFERENCE_PADS])

_NONE = ErrorModel((0.0, 0.0, 0.0), 1.0, (0.0, 0.0, 0.0))
EXACT = SensorNoise(_NONE, _NONE, _NONE, _NONE)


@attrs.frozen(eq=False)
class Frame:
    """``time``: s. ``detections``: ``records.DETECTION``. ``pads``: the pad of each; -1: none."""

    time: float
    detections: Records
    pads: list[int]


@attrs.frozen
class PixelNoise:
    """Standard deviations of a detected centre, in u and in v, pixels."""

    marker: float
    disc: float

    def of(self, pad: Pad) -> float:
        """Return the deviation for this pad."""
        return self.disc if pad.label == NO_LABEL else self.marker


class Flight:
    """One seed's flight over the reference pads, with the reference pipeline's camera."""

    def __init__(self, seed: int, noise: SensorNoise | None = None) -> None:
        self.seed = seed
        self.noise = SensorNoise() if noise is None else noise
        self.truth = SimulatedFlight(seed)
        params = check_parameters(Geolocation.parameters, parameters('geolocation'))
        self.camera, self.mounting = PinholeCamera.from_params(params), Mounting.from_params(params)
        measured = NoisyFlight(self.truth, seed, self.noise)
        random = np.random.default_rng([seed, 1])
        times = [0.0]
        while times[-1] + ODOMETRY_PERIODS[1] < self.truth.duration:
            times.append(times[-1] + random.uniform(*ODOMETRY_PERIODS))
        self.odometry: list[tuple[float, VehicleState]] = [
            (time, measured.odometry(time)) for time in times
        ]

    def times(self, period: float = PERIOD) -> Vector:
        """The times of the frames: those between two odometry messages, s."""
        return np.arange(0.0, self.odometry[-1][0], period)

    def camera_pose(self, time: float) -> CameraPose:
        """Return the true pose of the camera."""
        return CameraPose.from_body(self.truth.state(time).pose, self.mounting)

    def pixels(self, time: float) -> Vector:
        """Return the pixels (N, 2) of the centres of all pads; NaN: not in view."""
        middles = np.column_stack([PLACES, np.zeros(len(PLACES))])
        return self.camera_pose(time).project_points(self.camera, middles)


def projected(flight: Flight, noise: PixelNoise, period: float = PERIOD) -> Iterator[Frame]:
    """Yield the pads fully in each frame, with pixel noise, every ``period`` seconds."""
    random = np.random.default_rng([flight.seed, 2])
    for time in flight.times(period):
        pose, middles = flight.camera_pose(time), flight.pixels(time)
        seen = []
        for number, pad in enumerate(REFERENCE_PADS):
            outline = pose.project_points(flight.camera, _outline(pad))
            if flight.camera.contains(outline).all():
                seen.append((number, outline, random.normal(0.0, noise.of(pad), 2)))
        detections = np.zeros(len(seen), DETECTION)
        for record, (number, outline, error) in zip(detections, seen, strict=True):
            record['x1'], record['y1'] = outline.min(axis=0) + error
            record['x2'], record['y2'] = outline.max(axis=0) + error
            record['u'], record['v'] = middles[number] + error
            record['label'], record['confidence'] = REFERENCE_PADS[number].label, 1.0
        yield Frame(float(time), detections, [number for number, _, _ in seen])


def rendered(flight: Flight, ground: Orthophoto, period: float) -> Iterator[Frame]:
    """Yield what the reference detectors find in rendered frames, every ``period`` seconds."""
    random = np.random.default_rng([flight.seed, 3])
    renderer = Renderer(ground, REFERENCE_PADS, flight.camera)
    detect = ready(DetectTarget(), 'detect_target')
    for time in flight.times(period):
        pixels = CONDITION.on(renderer.render(flight.camera_pose(time)), random)
        found = detect.process(image.to_message(pixels, 'camera'))
        detections = point_cloud.from_message(found)
        middles = flight.pixels(time)
        yield Frame(float(time), detections, [_pad_of(each, middles) for each in detections])


def measured_noise(flight: Flight, frames: Sequence[Frame]) -> PixelNoise:
    """Return the noise of detections in rendered frames. ValueError if a kind of pad was missed."""
    offsets: dict[bool, list[Vector]] = {True: [], False: []}
    for frame in frames:
        middles = flight.pixels(frame.time)
        for find, pad in zip(frame.detections, frame.pads, strict=True):
            if pad >= 0:
                is_disc = REFERENCE_PADS[pad].label == NO_LABEL
                offsets[is_disc].append(_place(find) - middles[pad])
    if not all(offsets.values()):
        raise ValueError('frames: found no marker, or no disc; allowed: frames with both')
    disc, marker = (float(np.sqrt(np.mean(np.square(offsets[each])))) for each in (True, False))
    return PixelNoise(marker, disc)


def _pad_of(find: np.void, middles: Vector) -> int:
    labels = np.array([pad.label for pad in REFERENCE_PADS])
    distances = np.linalg.norm(middles - _place(find), axis=1)
    distances[(labels != find['label']) | np.isnan(distances)] = np.inf
    nearest = int(np.argmin(distances))
    return nearest if distances[nearest] <= NEAR else -1


def _place(find: np.void) -> Vector:
    return np.array([find['u'], find['v']], dtype=float)


def _outline(pad: Pad) -> Vector:
    """Return the outline (N, 3), m, around which a detector puts its box."""
    if pad.label == NO_LABEL:
        angles, radius = np.arange(16) * np.pi / 8, pad.size / 2
    else:
        angles = pad.heading + (np.arange(4) + 0.5) * np.pi / 2
        radius = MARKER_SHARE * pad.size / np.sqrt(2)
    around = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(len(angles))])
    return radius * around + [pad.east, pad.north, 0.0]
