"""The pinhole camera: pixels, rays, and where a ray meets the ground.

Pixel ``(0, 0)`` is the centre of the first pixel, u runs right and v down. The optical frame is
REP 103's: x right, y down, z along the line of sight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from worker_pipeline.airside.geometry import (
    Matrix,
    Vector,
    quaternion_from_euler,
    rotation_matrix,
)
from worker_pipeline.airside.pose import Pose
from worker_pipeline.parameter import Parameter

# A camera that stands level in a body looks along the body's x: its optical x is the body's right,
# its optical y the body's down, its optical z the body's forward.
_LEVEL_FROM_OPTICAL: Matrix = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])

# The parameters a stage needs to know its camera; PinholeCamera.of and Mounting.of read them.
# Default: 1920x1200 pixels over a field of view of 0.64889 x 0.41438 rad, looking straight down.
INTRINSICS: Mapping[str, Parameter] = {
    'width': Parameter(1920, 'columns of the image', 'pixel', minimum=16),
    'height': Parameter(1200, 'rows of the image', 'pixel', minimum=16),
    'focal_length': Parameter([2854.7, 2854.7], 'in x and y', 'pixel', minimum=1.0),
    'principal_point': Parameter([959.5, 599.5], 'where the line of sight meets it', 'pixel'),
    'distortion': Parameter(
        [0.0, 0.0, 0.0, 0.0, 0.0], "the lens's k1, k2, p1, p2, k3 (plumb_bob of CameraInfo)"
    ),
}
MOUNTING: Mapping[str, Parameter] = {
    'mounting_position': Parameter([0.0, 0.0, 0.0], 'the camera, in the body (FLU)', 'm'),
    'mounting_attitude': Parameter(
        [0.0, math.pi / 2, 0.0], 'roll, pitch, yaw of the camera; pitch pi/2 looks down', 'rad'
    ),
}


@attrs.frozen
class PinholeCamera:
    """An ideal camera's intrinsics, all in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> PinholeCamera:
        """The camera that a stage's :data:`INTRINSICS` describe. ValueError names what is wrong."""
        fx, fy = _numbers(params, 'focal_length', 2)
        cx, cy = _numbers(params, 'principal_point', 2)
        return cls(params['width'], params['height'], fx, fy, cx, cy)

    @property
    def matrix(self) -> Matrix:
        """3x3: optical frame to homogeneous pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def rays(self, pixels: Vector) -> Vector:
        """Pixels (N, 2) to directions (N, 3) in the optical frame, each with z = 1."""
        uv = np.asarray(pixels, dtype=float).reshape(-1, 2)
        return np.column_stack(
            [(uv[:, 0] - self.cx) / self.fx, (uv[:, 1] - self.cy) / self.fy, np.ones(len(uv))]
        )

    def project(self, points: Vector) -> Vector:
        """Points (N, 3) in the optical frame to pixels (N, 2); NaN where a point is behind."""
        xyz = np.asarray(points, dtype=float).reshape(-1, 3)
        depth = np.where(xyz[:, 2] > 0, xyz[:, 2], np.nan)
        return np.column_stack(
            [self.fx * xyz[:, 0] / depth + self.cx, self.fy * xyz[:, 1] / depth + self.cy]
        )


@attrs.frozen(eq=False)
class Mounting:
    """How a camera sits in a body.

    ``position``: 3, m, in the body. ``rotation``: 3x3, body from optical frame.
    """

    position: Vector
    rotation: Matrix

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Mounting:
        """The mounting that a stage's :data:`MOUNTING` describes. ValueError if it cannot be."""
        roll, pitch, yaw = _numbers(params, 'mounting_attitude', 3)
        body_from_level = rotation_matrix(quaternion_from_euler(roll, pitch, yaw))
        position = np.array(_numbers(params, 'mounting_position', 3))
        return cls(position, body_from_level @ _LEVEL_FROM_OPTICAL)


@attrs.frozen(eq=False)
class CameraPose:
    """A camera in the world. ``position``: 3, m, ENU. ``rotation``: 3x3, world from optical."""

    position: Vector
    rotation: Matrix

    @classmethod
    def of(cls, body: Pose, mounting: Mounting) -> CameraPose:
        """Where a camera mounted so is, on a body that is there."""
        world_from_body = rotation_matrix(body.orientation)
        return cls(
            body.position + world_from_body @ mounting.position,
            world_from_body @ mounting.rotation,
        )

    def on_plane(self, rays: Vector, height: float, min_descent: float) -> Vector:
        """Where rays (N, 3, optical frame) meet the plane ``z = height``: (N, 3), m, ENU.

        A row is NaN where the ray goes level or up, or descends at less than ``min_descent`` (rad
        below the horizon): there a small error of attitude is a large one on the ground.
        """
        directions = np.asarray(rays, dtype=float).reshape(-1, 3) @ self.rotation.T
        with np.errstate(divide='ignore', invalid='ignore'):
            downwards = -directions[:, 2] / np.linalg.norm(directions, axis=1)
            distance = (height - self.position[2]) / directions[:, 2]
        met = (downwards > max(math.sin(min_descent), 0.0)) & (distance > 0)
        points: Vector = self.position + np.where(met, distance, np.nan)[:, None] * directions
        points[met, 2] = height
        return points

    def pixels_of(self, camera: PinholeCamera, points: Vector) -> Vector:
        """World points (N, 3) to pixels (N, 2); NaN where a point is behind the camera."""
        offset = np.asarray(points, dtype=float).reshape(-1, 3) - self.position
        return camera.project(offset @ self.rotation)

    def plane_homography(self, camera: PinholeCamera, height: float = 0.0) -> Matrix:
        """3x3: homogeneous ``(east, north, 1)`` on the plane ``z = height`` to pixels."""
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
