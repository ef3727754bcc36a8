"""What ROS itself cannot take, in words."""

from __future__ import annotations

from rclpy.impl.implementation_singleton import rclpy_implementation

RCLError = rclpy_implementation.RCLError


def in_words(error: Exception) -> str:
    """An error of rclpy's, of which there are many classes, in one line."""
    text = ' '.join(str(error).split())
    # Some are no more than a list of names.
    return text if isinstance(error, RCLError) else f'{type(error).__name__}: {text}'
