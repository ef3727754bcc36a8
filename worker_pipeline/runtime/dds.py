"""Defaults of the DDS environment, each of which the user's own setting overrides."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
# rclpy's major version in ROS 2 Kilted, the first with Fast DDS 3.
KILTED = 9


def apply_defaults(profile: Path | None = None) -> None:
    """Set what is not set: discovery on this machine only, and the shipped Fast DDS profile.

    To be called before ``rclpy.init``; processes started later inherit it.
    """
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    chosen = {*PROFILE_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS'}
    if profile is not None and profile.exists() and not chosen & set(os.environ):
        os.environ[_profile_variable()] = str(profile)


def _profile_variable() -> str:
    """The variable this distribution's Fast DDS reads; a later one warns of the older name."""
    return PROFILE_VARIABLES[0] if rclpy_major() >= KILTED else PROFILE_VARIABLES[1]


def rclpy_major() -> int:
    """rclpy's major version: 7 for Jazzy, 9 for Kilted; 0 where it cannot be told."""
    try:
        return int(importlib.metadata.version('rclpy').partition('.')[0])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return 0
