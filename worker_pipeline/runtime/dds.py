"""Defaults of the DDS environment, each of which the user's own setting overrides."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
from pathlib import Path

SHARED_MEMORY = Path('/dev/shm')
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


def sweep_shared_memory() -> int:
    """Remove the shared-memory segments and ports of Fast DDS processes that were killed.

    A live process holds a lock on the ``_el`` (exclusive) or ``_sl`` (shared) file beside what it
    uses; where no lock is held, nobody is left. This is the test that Fast DDS's own
    ``fastdds shm clean`` goes by. Returns how many files were removed.
    """
    removed = 0
    used = {path.name[:-3] for kind in ('_el', '_sl') for path in SHARED_MEMORY.glob(f'*{kind}')}
    for name in used:
        if not name.startswith(('fastdds_', 'fastrtps_')):
            continue
        locks = [SHARED_MEMORY / f'{name}{kind}' for kind in ('_el', '_sl')]
        if any(_is_locked(lock) for lock in locks):
            continue
        for path in (SHARED_MEMORY / name, SHARED_MEMORY / f'sem.{name}_mutex', *locks):
            with contextlib.suppress(OSError):
                path.unlink()
                removed += 1
    return removed


def _is_locked(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # another user's: not ours to judge
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
