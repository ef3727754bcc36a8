# SPDX-License-Identifier: Apache-2.0
"""The covariance of a location on the ground, to first order in all its inputs.

The intersection of a ray with the ground moves with the camera, the ray and the ground, but always
along the ground: displacement off the ground is corrected along the ray.
"""

from __future__ import annotations

import attrs
import numpy as np

from worker_pipeline.airside.geometry.pinhole import Mounting
from worker_pipeline.airside.geometry.rotations import Matrix, Vector


@attrs.frozen
class Deviations:
    """Standard deviations of inputs that are not part of any message.

    ``pixel``: of u and of v, pixels. ``mounting``: of the camera in the body, rad, about each axis.
    ``ground``: of the ground's height, m.
    """

    pixel: float
    mounting: float
    ground: float


@attrs.frozen(eq=False)
class GroundIntersection:
    """The intersection of a ray with the ground.

    ``ray``: (3,), optical frame, with z = 1; ``ray_jacobian``: 2x2, derivative of its x and y by
    the pixel. ``world_from_body``: 3x3. ``reach``: distance to the ground in lengths of ``ray``.
    ``normal``: (3,), the ground's at the intersection.
    """

    ray: Vector
    ray_jacobian: Matrix
    world_from_body: Matrix
    reach: float
    normal: Vector


def covariance(
    intersection: GroundIntersection, mounting: Mounting, variances: Vector, deviations: Deviations
) -> Matrix:
    """Return the 2x2 covariance (m^2, east and north) of where a ray meets the ground.

    Args:
        intersection: The ray and where it meets the ground.
        mounting: The mounting of the camera.
        variances: (6,), of the body's position, m^2, east, north, up, and of its attitude, rad^2,
            small rotations about its own axes.
        deviations: Standard deviations of the other inputs.
    """
    jacobian = location_jacobian(intersection, mounting)
    inputs = np.concatenate(
        [
            np.full(2, deviations.pixel**2),
            variances,
            np.full(3, deviations.mounting**2),
            [deviations.ground**2],
        ]
    )
    found = (jacobian * inputs) @ jacobian.T
    return np.asarray((found + found.T) / 2)


def location_jacobian(intersection: GroundIntersection, mounting: Mounting) -> Matrix:
    """Return the 2x12 derivative of east and north by all inputs.

    In this order: pixel (2), position of the body (3), rotation of the body about its axes (3),
    rotation of the camera about the body's axes (3), height of the ground (1).
    """
    arm = intersection.reach * (
        mounting.rotation @ intersection.ray
    )  # from the camera, in the body
    way = intersection.world_from_body @ arm
    by_pixel = np.zeros((3, 2))
    by_pixel[:2] = intersection.reach * intersection.ray_jacobian
    moved = np.column_stack(
        [
            intersection.world_from_body @ mounting.rotation @ by_pixel,
            np.eye(3),
            # A small rotation r moves a point p by r x p, which is -p x r.
            -intersection.world_from_body @ _cross(mounting.position + arm),
            -intersection.world_from_body @ _cross(arm),
        ]
    )
    # Move along the ray back to the ground.
    steep = intersection.normal @ way
    along = moved - np.outer(way, intersection.normal @ moved) / steep
    return np.column_stack([along, way / steep])[:2]


def _cross(vector: Vector) -> Matrix:
    """Return the 3x3 matrix of the cross product with a vector."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
