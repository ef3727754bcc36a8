# SPDX-License-Identifier: Apache-2.0
"""The outline of the ground that is in view of a camera."""

from __future__ import annotations

import numpy as np

from worker_pipeline.airside.geometry.pinhole import CameraPose
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.projection.locator import Locator

# Around the image, in its width and height: corners, and between them, as a lens bends the edges.
_OUTLINE = np.array(
    [[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [1.0, 0.5], [1.0, 1.0], [0.5, 1.0], [0.0, 1.0], [0.0, 0.5]]
)


def footprint(locator: Locator, body: Pose) -> Vector | None:
    """Return the outline (8, 3) of the ground in view, m, ENU; None if not all of it is ground.

    Args:
        locator: The camera and the ground.
        body: The pose of the body that carries the camera, which may be of any numbers.
    """
    camera = locator.camera
    rays = camera.rays(_OUTLINE * [camera.width, camera.height] - 0.5)
    with np.errstate(all='ignore'):  # what is not finite is not ground
        try:
            pose = CameraPose.from_body(body, locator.mounting)
        except ValueError:  # no attitude
            return None
        directions = pose.directions(rays)
        if not (-directions[:, 2] > np.sin(locator.min_descent)).all():
            return None  # also where the lens model ends, with NaN
        points = np.array([locator.ground.intersect(pose.position, each) for each in directions])
    return points if np.isfinite(points).all() else None
