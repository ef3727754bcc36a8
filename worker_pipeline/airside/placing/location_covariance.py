"""How uncertain a place on the ground is, from all that it was computed of: to the first order.

The point a ray meets moves with the camera, with the ray and with the ground. All three move it
along the ground alone: what goes off the ground is made up along the ray.
"""

from __future__ import annotations

import attrs
import numpy as np

from worker_pipeline.airside.geometry import Matrix, Vector
from worker_pipeline.airside.pinhole import Mounting


@attrs.frozen
class Deviations:
    """Standard deviations of what no message tells.

    ``pixel``: of u and of v, pixels. ``mounting``: of the camera in the body, rad, about each axis.
    ``ground``: of the ground's height, m.
    """

    pixel: float
    mounting: float
    ground: float


@attrs.frozen(eq=False)
class Sighting:
    """A ray that meets the ground.

    ``ray``: (3,), optical frame, its z 1; ``ray_jacobian``: 2x2, how its x and y move with the
    pixel. ``world_from_body``: 3x3. ``reach``: how often ``ray`` goes into the way to the ground.
    ``normal``: (3,), the ground's where they meet.
    """

    ray: Vector
    ray_jacobian: Matrix
    world_from_body: Matrix
    reach: float
    normal: Vector


def covariance(
    sighting: Sighting, mounting: Mounting, variances: Vector, deviations: Deviations
) -> Matrix:
    """2x2, m^2, east and north, of where a ray meets the ground.

    ``variances``: (6,), of the body's position, m^2, east, north, up, and of its attitude, rad^2,
    small rotations about its own axes.
    """
    jacobian = location_jacobian(sighting, mounting)
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


def location_jacobian(sighting: Sighting, mounting: Mounting) -> Matrix:
    """2x12: how east and north move with what they are computed of.

    In this order: pixel (2), position of the body (3), rotation of the body about its axes (3),
    rotation of the camera about the body's axes (3), height of the ground (1).
    """
    arm = sighting.reach * (mounting.rotation @ sighting.ray)  # from the camera, in the body
    way = sighting.world_from_body @ arm
    by_pixel = np.zeros((3, 2))
    by_pixel[:2] = sighting.reach * sighting.ray_jacobian
    moved = np.column_stack(
        [
            sighting.world_from_body @ mounting.rotation @ by_pixel,
            np.eye(3),
            # A small rotation r moves a point p by r x p, which is -p x r.
            -sighting.world_from_body @ _cross(mounting.position + arm),
            -sighting.world_from_body @ _cross(arm),
        ]
    )
    # Along the ray, back to the ground.
    steep = sighting.normal @ way
    along = moved - np.outer(way, sighting.normal @ moved) / steep
    return np.column_stack([along, way / steep])[:2]


def _cross(vector: Vector) -> Matrix:
    """3x3: what multiplied by another vector is this one's cross product with it."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
