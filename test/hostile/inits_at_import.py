# SPDX-License-Identifier: Apache-2.0
"""A module that calls rclpy.init() when it is imported."""

from __future__ import annotations

import rclpy

from hostile.hostile_stage import HostileStage

rclpy.init()


class InitsRclpyAtImport(HostileStage):
    """calls rclpy.init() at import"""
