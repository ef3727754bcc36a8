# SPDX-License-Identifier: Apache-2.0
"""Sightings of pads as a vehicle with errors would report them, without rendering images.

The errors are those of a small drone: noise of pixels, attitude and position; a slow drift of the
position, as with GNSS (a first-order Gauss-Markov process); and errors of detectors: outliers,
false detections, and misread markers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from worker_pipeline.airside.geometry.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import (
    Matrix,
    Vector,
    multiply,
    quaternion_from_rotation_vector,
)
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import LOCATION, NO_LABEL
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS, Pad

# In addition to the reference's: two without a marker, 3 m apart.
PAIR: tuple[Pad, ...] = (
    Pad(label=NO_LABEL, east=6.0, north=30.0),
    Pad(label=NO_LABEL, east=9.0, north=30.0),
)
PADS = REFERENCE_PADS + PAIR

_ORIGIN = 44.95936602, -110.63865039
_DEGREE = 111_132.0  # m, of latitude; accurate enough, since the values are only passed through
_MISREAD = range(50)  # numbers that a marker may be misread as


@attrs.frozen
class SightingErrors:
    """Standard deviations, and shares of sightings or frames."""

    pixel: float = 1.0
    attitude: float = 0.008  # rad, about each axis
    position: float = 0.3  # m, in each direction, independent
    bias: float = 0.8  # m, in each direction, wandering
    bias_time: float = 100.0  # s, its correlation time
    outliers: float = 0.02  # share of sightings displaced by:
    outlier_distance: float = 12.0  # m
    false_detections: float = 0.05  # share of frames
    misread: float = 0.02  # share of sightings


@attrs.frozen(eq=False)
class View:
    """The pads in one frame. ``time``: s; ``pixels`` (N, 2) of the N pads ``seen``."""

    time: float
    pose: Pose
    seen: Sequence[Pad]
    pixels: Vector


class SurveyViews:
    """The frames of a survey.

    Args:
        camera: The camera.
        mounting: Its mounting.
        times: How often the survey is flown.
        period: s, between two frames.
        pads: The pads on the ground.
    """

    def __init__(
        self,
        camera: PinholeCamera,
        mounting: Mounting,
        times: int = 3,
        period: float = 0.1,
        pads: Sequence[Pad] = PADS,
    ) -> None:
        self.camera, self.mounting = camera, mounting
        self.period = period
        flight = SimulatedFlight()
        places = np.array([[pad.east, pad.north, 0.0] for pad in pads])
        size = np.array([camera.width, camera.height])
        once = []
        for time in flight.times(period):
            pose = flight.state(time).pose
            pixels = CameraPose.from_body(pose, mounting).project_points(camera, places)
            inside = np.flatnonzero(((pixels >= 0) & (pixels < size)).all(axis=1))
            once.append(View(0.0, pose, [pads[int(each)] for each in inside], pixels[inside]))
        self.frames = [
            attrs.evolve(view, time=number * period) for number, view in enumerate(once * times)
        ]


def sightings(
    views: SurveyViews, errors: SightingErrors, seed: int
) -> Iterator[tuple[float, Records]]:
    """Yield the time (s) and the ``records.LOCATION`` of each frame.

    Args:
        views: The frames.
        errors: The errors to add.
        seed: Seed of the errors.
    """
    random = np.random.default_rng(seed)
    bias = random.normal(0.0, errors.bias, 3)
    decay = math.exp(-views.period / errors.bias_time)
    for view in views.frames:
        bias = decay * bias + random.normal(0.0, errors.bias * math.sqrt(1 - decay**2), 3)
        yield view.time, _frame(views, view, errors, bias, random)


def _frame(
    views: SurveyViews,
    view: View,
    errors: SightingErrors,
    bias: Vector,
    random: np.random.Generator,
) -> Records:
    camera = views.camera
    turn = quaternion_from_rotation_vector(random.normal(0.0, errors.attitude, 3))
    thought = CameraPose.from_body(
        Pose(
            view.pose.position + bias + random.normal(0.0, errors.position, 3),
            multiply(view.pose.orientation, turn),
        ),
        views.mounting,
    )
    labels = [pad.label for pad in view.seen]
    pixels = view.pixels + random.normal(0.0, errors.pixel, view.pixels.shape)
    if random.random() < errors.false_detections:
        labels.append(NO_LABEL)
        pixels = np.vstack([pixels, random.uniform([0, 0], [camera.width, camera.height])])
    points = thought.intersect_plane(camera.rays(pixels), 0.0, 0.1)
    far_off = random.random(len(points)) < errors.outliers
    points[far_off, :2] += random.normal(0.0, errors.outlier_distance, (far_off.sum(), 2))
    located = np.zeros(len(points), LOCATION)
    located['x'], located['y'], located['z'] = points.T
    located['label'] = labels
    misread = (random.random(len(points)) < errors.misread) & (located['label'] != NO_LABEL)
    located['label'][misread] = random.choice(_MISREAD, misread.sum())
    located['latitude'] = _ORIGIN[0] + points[:, 1] / _DEGREE
    located['longitude'] = _ORIGIN[1] + points[:, 0] / _DEGREE / math.cos(math.radians(_ORIGIN[0]))
    located['confidence'] = 1.0
    for record, point in zip(located, points, strict=True):
        covariance = _covariance(point - thought.position, camera, errors)
        record['var_east'], record['var_north'] = covariance[0, 0], covariance[1, 1]
        record['cov_east_north'] = covariance[0, 1]
    return located


def _covariance(line: Vector, camera: PinholeCamera, errors: SightingErrors) -> Matrix:
    """Return the covariance (2x2, m^2) of where a line of sight meets the ground.

    ``line``: m, from the camera to the ground.
    """
    x, y, z = line
    # A displacement of the line moves its intersection with the ground, also along the line.
    ground = np.array([[1.0, 0.0, -x / z], [0.0, 1.0, -y / z]])
    turned = ground @ np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
    angle = errors.attitude**2 + (errors.pixel / camera.fx) ** 2
    covariance: Matrix = angle * turned @ turned.T
    covariance += (errors.position**2 + errors.bias**2) * ground @ ground.T
    return covariance
