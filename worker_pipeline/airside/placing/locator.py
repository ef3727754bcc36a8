"""Where on the ground lies what is seen in a pixel, how surely, and if nowhere, why."""

from __future__ import annotations

import math

import attrs
import numpy as np

from worker_pipeline.airside.geometry import Matrix, Vector, rotation_matrix
from worker_pipeline.airside.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.airside.placing.ground import FlatGround, Ground
from worker_pipeline.airside.placing.location_covariance import Deviations, Sighting, covariance
from worker_pipeline.airside.pose import Pose

# Why something has no place.
NO_NUMBER = 'no_number'  # its pixel, its pose or a variance is none
OUTSIDE_IMAGE = 'outside_image'  # the image was another camera's, or of another size
NOT_UNDISTORTED = 'not_undistorted'
BELOW_GROUND = 'below_ground'  # the camera is
TOO_LEVEL = 'too_level'  # it meets the ground at a small angle, or looks above it
BEYOND_ELEVATION = 'beyond_elevation'
TOO_FAR = 'too_far'  # from the origin, or off by so much: no local frame reaches there

_FARTHEST = 100e3  # m


class NoPlaceError(Exception):
    """It has no place on the ground. ``reason``: one of the words above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen(eq=False)
class Place:
    """``point``: (3,), m, ENU. ``covariance``: 2x2, m^2, east and north."""

    point: Vector
    covariance: Matrix


@attrs.frozen(eq=False)
class Locator:
    """For one camera over one ground.

    ``min_descent``: rad; a ray that meets the ground at a smaller angle is not used, for there a
    small error of attitude is a large one on the ground.
    """

    camera: PinholeCamera
    mounting: Mounting
    ground: FlatGround | Ground
    min_descent: float
    deviations: Deviations

    def place(self, pixel: Vector, body: Pose, variances: Vector) -> Place:
        """Where a pixel (2,) lies, seen from a body that is there. Raises :class:`NoPlaceError`.

        ``variances``: (6,), as :func:`location_covariance.covariance` takes them.
        """
        if not _are_numbers(pixel, body, variances):
            raise NoPlaceError(NO_NUMBER)
        if not self.camera.sees(pixel).all():
            raise NoPlaceError(OUTSIDE_IMAGE)
        rays = self.camera.rays(pixel)
        if not np.isfinite(rays).all():
            raise NoPlaceError(NOT_UNDISTORTED)
        pose = CameraPose.of(body, self.mounting)
        if not (abs(pose.position) <= _FARTHEST).all():
            raise NoPlaceError(TOO_FAR)
        point, normal = self._meet(pose, rays)
        if not (abs(point) <= _FARTHEST).all():
            raise NoPlaceError(TOO_FAR)
        sighting = Sighting(
            ray=rays[0],
            ray_jacobian=self.camera.ray_jacobians(rays)[0],
            world_from_body=rotation_matrix(body.orientation),
            reach=float(np.linalg.norm(point - pose.position) / np.linalg.norm(rays[0])),
            normal=normal,
        )
        unsure = covariance(sighting, self.mounting, variances, self.deviations)
        if not (np.diag(unsure) <= _FARTHEST**2).all():
            raise NoPlaceError(TOO_FAR)
        return Place(point, unsure)

    def _meet(self, pose: CameraPose, rays: Vector) -> tuple[Vector, Vector]:
        """Where the ray meets the ground, and the ground's normal there."""
        east, north, up = pose.position
        if (up <= self.ground.height(np.array([east]), np.array([north]))).any():
            raise NoPlaceError(BELOW_GROUND)
        (direction,) = pose.directions(rays)
        least = math.sin(self.min_descent)
        point = self.ground.meet(pose.position, direction)
        if np.isnan(point).any():
            raise NoPlaceError(TOO_LEVEL if -direction[2] <= least else BEYOND_ELEVATION)
        normal = self.ground.normal(point[0], point[1])
        steepness = -direction @ normal / np.linalg.norm(normal)
        if not steepness > max(least, 0.0):
            raise NoPlaceError(TOO_LEVEL)
        return point, normal


def _are_numbers(pixel: Vector, body: Pose, variances: Vector) -> bool:
    numbers = np.concatenate([pixel, body.position, body.orientation, variances])
    has_attitude = np.linalg.norm(body.orientation) > 0
    return bool(np.isfinite(numbers).all() and has_attitude and (variances >= 0).all())
