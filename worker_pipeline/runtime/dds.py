"""Defaults of the DDS environment, each of which the user's own setting overrides."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import attrs

PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
# Messages of some megabytes; Fast DDS's own room in shared memory, half a megabyte, is too small.
LARGE_MESSAGES = frozenset({'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'})
# rclpy's major version in ROS 2 Kilted, the first with Fast DDS 3.
KILTED = 9


@attrs.frozen
class Profiles:
    """The Fast DDS profiles that come with the package."""

    ordinary: str  # path of the file
    large_messages: str  # the same, with room in shared memory for what is sent

    @classmethod
    def within(cls, folder: Path) -> Profiles:
        """The profiles in the package's ``config`` folder."""
        return cls(str(folder / 'fastdds.xml'), str(folder / 'fastdds_large_messages.xml'))

    def suited_to(self, message_type: str) -> str:
        """The profile for a process that sends messages of this type."""
        return self.large_messages if message_type in LARGE_MESSAGES else self.ordinary


def apply_defaults(folder: Path, *, large_messages: bool = False) -> Profiles | None:
    """Set what is not set: discovery on this machine only, and a shipped Fast DDS profile.

    ``folder`` is the package's ``config`` folder. To be called before ``rclpy.init``; processes
    started later inherit it. Returns the profiles, or None where the user has made a choice of
    his own, which then holds for every process.
    """
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    profiles = Profiles.within(folder)
    ours = {profiles.ordinary, profiles.large_messages}
    chosen = {os.environ.get(each, profiles.ordinary) for each in PROFILE_VARIABLES}
    if 'FASTDDS_BUILTIN_TRANSPORTS' in os.environ or not chosen <= ours:
        return None
    use(profiles.large_messages if large_messages else profiles.ordinary)
    return profiles


def use(profile: str) -> None:
    """Have this process, and those it starts, use a profile."""
    os.environ[_profile_variable()] = profile


def _profile_variable() -> str:
    """The variable this distribution's Fast DDS reads; a later one warns of the older name."""
    return PROFILE_VARIABLES[0] if rclpy_major() >= KILTED else PROFILE_VARIABLES[1]


def rclpy_major() -> int:
    """rclpy's major version: 7 for Jazzy, 9 for Kilted; 0 where it cannot be told."""
    try:
        return int(importlib.metadata.version('rclpy').partition('.')[0])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return 0
