# SPDX-License-Identifier: Apache-2.0
"""Descriptions of errors that rclpy raises."""

from __future__ import annotations

from rclpy.impl.implementation_singleton import rclpy_implementation

RCLError = rclpy_implementation.RCLError


def describe_ros_error(error: Exception) -> str:
    """Return an error of rclpy, of any of its many classes, in one line."""
    text = ' '.join(str(error).split())
    # The texts of some others are only a list of names.
    return text if isinstance(error, RCLError) else f'{type(error).__name__}: {text}'
