# SPDX-License-Identifier: Apache-2.0
"""The location on the ground of the point seen in a pixel, with its covariance."""

from __future__ import annotations

import math

import attrs
import numpy as np

from worker_pipeline.airside.geometry.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import Matrix, Vector, rotation_matrix
from worker_pipeline.airside.projection.ground import FlatGround, Ground
from worker_pipeline.airside.projection.location_covariance import (
    Deviations,
    GroundIntersection,
    covariance,
)

# Why something cannot be located.
NO_NUMBER = 'no_number'  # a pixel, pose or variance is not a finite number
OUTSIDE_IMAGE = 'outside_image'  # the image is from another camera, or of another size
NOT_UNDISTORTED = 'not_undistorted'
BELOW_GROUND = 'below_ground'  # the camera is
TOO_LEVEL = 'too_level'  # the ray meets the ground at a small angle, or points above the horizon
BEYOND_ELEVATION = 'beyond_elevation'
TOO_FAR = 'too_far'  # from the origin, or with too large an error, for a local frame

_MAX_COORDINATE = 100e3  # m


class NotLocatableError(Exception):
    """A pixel cannot be located on the ground. ``reason``: one of the constants above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen(eq=False)
class GroundLocation:
    """A location. ``point``: (3,), m, ENU. ``covariance``: 2x2, m^2, east and north."""

    point: Vector
    covariance: Matrix


@attrs.frozen(eq=False)
class Locator:
    """Locates pixels of one camera on one ground.

    ``min_descent``: rad; a ray that meets the ground at a smaller angle is rejected, since a small
    attitude error is a large error on the ground there.
    """

    camera: PinholeCamera
    mounting: Mounting
    ground: FlatGround | Ground
    min_descent: float
    deviations: Deviations

    def locate(self, pixel: Vector, body: Pose, variances: Vector) -> GroundLocation:
        """Return the location of a pixel. Raises :class:`NotLocatableError`.

        Args:
            pixel: (2,).
            body: The pose of the body that carries the camera.
            variances: (6,), as in :func:`location_covariance.covariance`.
        """
        if not _are_numbers(pixel, body, variances):
            raise NotLocatableError(NO_NUMBER)
        if not self.camera.contains(pixel).all():
            raise NotLocatableError(OUTSIDE_IMAGE)
        rays = self.camera.rays(pixel)
        if not np.isfinite(rays).all():
            raise NotLocatableError(NOT_UNDISTORTED)
        pose = CameraPose.from_body(body, self.mounting)
        if not (abs(pose.position) <= _MAX_COORDINATE).all():
            raise NotLocatableError(TOO_FAR)
        point, normal = self._intersect(pose, rays)
        if not (abs(point) <= _MAX_COORDINATE).all():
            raise NotLocatableError(TOO_FAR)
        intersection = GroundIntersection(
            ray=rays[0],
            ray_jacobian=self.camera.ray_jacobians(rays)[0],
            world_from_body=rotation_matrix(body.orientation),
            reach=float(np.linalg.norm(point - pose.position) / np.linalg.norm(rays[0])),
            normal=normal,
        )
        unsure = covariance(intersection, self.mounting, variances, self.deviations)
        if not (np.diag(unsure) <= _MAX_COORDINATE**2).all():
            raise NotLocatableError(TOO_FAR)
        return GroundLocation(point, unsure)

    def _intersect(self, pose: CameraPose, rays: Vector) -> tuple[Vector, Vector]:
        """Return where the ray meets the ground, and the ground's normal there."""
        east, north, up = pose.position
        if (up <= self.ground.height(np.array([east]), np.array([north]))).any():
            raise NotLocatableError(BELOW_GROUND)
        (direction,) = pose.directions(rays)
        least = math.sin(self.min_descent)
        point = self.ground.intersect(pose.position, direction)
        if np.isnan(point).any():
            raise NotLocatableError(TOO_LEVEL if -direction[2] <= least else BEYOND_ELEVATION)
        normal = self.ground.normal(point[0], point[1])
        steepness = -direction @ normal / np.linalg.norm(normal)
        if not steepness > max(least, 0.0):
            raise NotLocatableError(TOO_LEVEL)
        return point, normal


def _are_numbers(pixel: Vector, body: Pose, variances: Vector) -> bool:
    numbers = np.concatenate([pixel, body.position, body.orientation, variances])
    has_attitude = np.linalg.norm(body.orientation) > 0
    return bool(np.isfinite(numbers).all() and has_attitude and (variances >= 0).all())
