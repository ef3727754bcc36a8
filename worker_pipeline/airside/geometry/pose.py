# SPDX-License-Identifier: Apache-2.0
"""The pose of a body in the world."""

from __future__ import annotations

import attrs

from worker_pipeline.airside.geometry.rotations import Vector


@attrs.frozen(eq=False)
class Pose:
    """A position and an orientation of a body in the world.

    ``position``: (3,), m, ENU. ``orientation``: quaternion x y z w, world from body.
    """

    position: Vector
    orientation: Vector
