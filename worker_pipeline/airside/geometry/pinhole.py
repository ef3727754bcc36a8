# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera with its lens, its mounting in a body, and its pose in the world.

Pixel ``(0, 0)`` is the centre of the first pixel, u points right and v down. The optical frame is
that of REP 103: x right, y down, z along the line of sight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.geometry.distortion import LensDistortion
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import (
    Matrix,
    Vector,
    quaternion_from_euler,
    rotation_matrix,
)
from worker_pipeline.parameter import Parameter

# A camera mounted level looks along the body's x: its optical x is the body's right, its optical y
# the body's down, its optical z the body's forward.
_LEVEL_FROM_OPTICAL: Matrix = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])

# The parameters that describe a camera; PinholeCamera.from_params and Mounting.from_params read
# them. Default: 1920x1200 pixels over a field of view of 0.64889 x 0.41438 rad, looking straight
# down.
INTRINSICS: Mapping[str, Parameter] = {
    'width': Parameter(1920, 'columns of the calibrated image', 'pixel', minimum=16),
    'height': Parameter(1200, 'rows of the calibrated image', 'pixel', minimum=16),
    'focal_length': Parameter([2854.7, 2854.7], 'focal length in x and y', 'pixel', minimum=1.0),
    'principal_point': Parameter([959.5, 599.5], 'image point of the line of sight', 'pixel'),
    'distortion': Parameter(
        [0.0, 0.0, 0.0, 0.0, 0.0], 'k1, k2, p1, p2, k3 of the lens (plumb_bob of CameraInfo)'
    ),
}
MOUNTING: Mapping[str, Parameter] = {
    'mounting_position': Parameter(
        [0.0, 0.0, 0.0], 'position of the camera in the body (FLU)', 'm'
    ),
    'mounting_attitude': Parameter(
        [0.0, math.pi / 2, 0.0], 'roll, pitch, yaw of the camera; pitch pi/2 looks down', 'rad'
    ),
}


@attrs.frozen
class PinholeCamera:
    """A camera's intrinsics, all in pixels, and its lens."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: LensDistortion = attrs.field(factory=LensDistortion)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> PinholeCamera:
        """Return the camera described by a stage's :data:`INTRINSICS`. ValueError if invalid."""
        fx, fy = _numbers(params, 'focal_length', 2)
        cx, cy = _numbers(params, 'principal_point', 2)
        lens = LensDistortion(*_numbers(params, 'distortion', 5))
        return cls(params['width'], params['height'], fx, fy, cx, cy, lens)

    @property
    def matrix(self) -> Matrix:
        """Return the 3x3 matrix from the optical frame to homogeneous pixels, without the lens."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def contains(self, pixels: Vector) -> npt.NDArray[np.bool_]:
        """Return whether pixels (N, 2) lie in the image: (N,). NaN does not."""
        uv = np.asarray(pixels, dtype=float).reshape(-1, 2)
        inside = (uv >= -0.5) & (uv <= [self.width - 0.5, self.height - 0.5])
        return np.asarray(inside.all(axis=1))

    def rays(self, pixels: Vector) -> Vector:
        """Return the rays (N, 3) of pixels (N, 2): directions in the optical frame with z = 1.

        x and y are NaN where the distortion cannot be undone.
        """
        uv = np.asarray(pixels, dtype=float).reshape(-1, 2)
        ideal = self.distortion.undistort((uv - [self.cx, self.cy]) / [self.fx, self.fy])
        return np.column_stack([ideal, np.ones(len(ideal))])

    def ray_jacobians(self, rays: Vector) -> Matrix:
        """Return the derivative (N, 2, 2) of x and y of rays (N, 3), z = 1, by their pixels."""
        pixel_from_ray = self.distortion.jacobian(rays[:, :2]) * [[self.fx], [self.fy]]
        return np.asarray(np.linalg.inv(pixel_from_ray))

    def project(self, points: Vector) -> Vector:
        """Return the pixels (N, 2) of points (N, 3) in the optical frame.

        NaN for a point behind the camera, or so far off the line of sight that the lens model ends.
        """
        xyz = np.asarray(points, dtype=float).reshape(-1, 3)
        depth = np.where(xyz[:, 2:] > 0, xyz[:, 2:], np.nan)
        return self.distortion.distort(xyz[:, :2] / depth) * [self.fx, self.fy] + [self.cx, self.cy]


@attrs.frozen(eq=False)
class Mounting:
    """The mounting of a camera in a body.

    ``position``: (3,), m, in the body. ``rotation``: 3x3, body from optical frame.
    """

    position: Vector
    rotation: Matrix

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Mounting:
        """Return the mounting described by a stage's :data:`MOUNTING`. ValueError if invalid."""
        roll, pitch, yaw = _numbers(params, 'mounting_attitude', 3)
        body_from_level = rotation_matrix(quaternion_from_euler(roll, pitch, yaw))
        position = np.array(_numbers(params, 'mounting_position', 3))
        return cls(position, body_from_level @ _LEVEL_FROM_OPTICAL)


@attrs.frozen(eq=False)
class CameraPose:
    """The pose of a camera. ``position``: (3,), m, ENU. ``rotation``: 3x3, world from optical."""

    position: Vector
    rotation: Matrix

    @classmethod
    def from_body(cls, body: Pose, mounting: Mounting) -> CameraPose:
        """Return the pose of a camera from the pose of its body."""
        world_from_body = rotation_matrix(body.orientation)
        return cls(
            body.position + world_from_body @ mounting.position,
            world_from_body @ mounting.rotation,
        )

    def directions(self, rays: Vector) -> Vector:
        """Return directions (N, 3) of length 1 in the world of rays (N, 3) in the optical frame."""
        directions = np.asarray(rays, dtype=float).reshape(-1, 3) @ self.rotation.T
        return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True))

    def intersect_plane(self, rays: Vector, height: float, min_descent: float) -> Vector:
        """Return where rays (N, 3) meet a horizontal plane: (N, 3), m, ENU.

        A row is NaN if the ray is level, rises, or descends too little.

        Args:
            rays: In the optical frame.
            height: m, z of the plane.
            min_descent: rad below the horizon; with less, a small attitude error is a large error
                on the ground.
        """
        directions = np.asarray(rays, dtype=float).reshape(-1, 3) @ self.rotation.T
        with np.errstate(divide='ignore', invalid='ignore'):
            downwards = -directions[:, 2] / np.linalg.norm(directions, axis=1)
            distance = (height - self.position[2]) / directions[:, 2]
        met = (downwards > max(math.sin(min_descent), 0.0)) & (distance > 0)
        points: Vector = self.position + np.where(met, distance, np.nan)[:, None] * directions
        points[met, 2] = height
        return points

    def project_points(self, camera: PinholeCamera, points: Vector) -> Vector:
        """Return the pixels (N, 2) of world points (N, 3); NaN where they cannot be seen."""
        offset = np.asarray(points, dtype=float).reshape(-1, 3) - self.position
        return camera.project(offset @ self.rotation)

    def plane_homography(self, camera: PinholeCamera, height: float = 0.0) -> Matrix:
        """Return the 3x3 matrix from ``(east, north, 1)`` on the plane ``z = height`` to pixels.

        Without the lens: a homography cannot represent distortion.
        """
        optical_from_world = self.rotation.T
        origin = np.array([0.0, 0.0, height]) - self.position
        columns = [optical_from_world[:, 0], optical_from_world[:, 1], optical_from_world @ origin]
        homography: Matrix = camera.matrix @ np.column_stack(columns)
        return homography


def _numbers(params: Mapping[str, Any], name: str, count: int) -> Sequence[float]:
    values = [float(value) for value in params[name]]
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(f'{name}: found {values}; allowed: {count} finite numbers')
    return values
