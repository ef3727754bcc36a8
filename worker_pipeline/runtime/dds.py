"""Defaults of the DDS environment, each of which the user's own setting overrides."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from worker_pipeline.runtime import shared_memory

PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
# Messages of some megabytes; Fast DDS's own room in shared memory, half a megabyte, is too small.
LARGE_MESSAGES = frozenset({'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'})
# Participants' numbers for workers: above those that Fast DDS gives to other nodes, from 0 up, and
# below what makes ports of the next domain.
FIRST_NUMBER, LAST_NUMBER = 40, 118
# And for managers: among those that a newcomer on this machine looks for.
MANAGER_NUMBERS = range(1, 31)
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
    # Otherwise what the profiles say of writers has no effect.
    os.environ.setdefault('RMW_FASTRTPS_USE_QOS_FROM_XML', '1')
    return profiles


def use(profile: str) -> None:
    """Have this process, and those it starts, use a profile."""
    os.environ[_profile_variable()] = profile


def participant_numbers(first: int) -> Iterator[int]:
    """Numbers for the participants of successive processes, each as late as possible again.

    A participant's number makes its ports. Left to itself, Fast DDS gives a replacement the number
    and so the shared-memory port of the dead: its peers, the manager first of all, go on writing
    into the dead port until a health check a second or more later. Measured here from kill to
    ready: 2.4 s in the median with the number of the dead, 0.3 s with another.
    """
    count = LAST_NUMBER - FIRST_NUMBER + 1
    return (FIRST_NUMBER + (first + step) % count for step in itertools.count())


def manager_number() -> int:
    """A free number for this process as a manager: another one than that of a dead one before."""
    first = os.getpid() % len(MANAGER_NUMBERS)
    order = [*MANAGER_NUMBERS[first:], *MANAGER_NUMBERS[:first]]
    free = (number for number in order if _is_free(number))
    return int(next(free, order[0]))


@contextlib.contextmanager
def numbered(profile: str, number: int) -> Iterator[None]:
    """Have the participant made within the context use a profile and, if it is free, a number."""
    text = Path(profile).read_text()
    while number < LAST_NUMBER and not _is_free(number):
        number += 1
    text = text.replace('<rtps>', f'<rtps><participantID>{number}</participantID>', 1)
    with tempfile.NamedTemporaryFile('w', prefix='worker_pipeline_', suffix='.xml') as file:
        file.write(text)
        file.flush()
        use(file.name)
        yield
    use(profile)


def _is_free(number: int) -> bool:
    """Whether no participant has a number: its port for user data (RTPS 9.6.1.1) is free.

    Nor may its ports in shared memory be half made, by somebody who was killed meanwhile.
    """
    domain = int(os.environ.get('ROS_DOMAIN_ID') or 0)
    port = 7400 + 250 * domain + 11 + 2 * number
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('127.0.0.1', port))
        except OSError:
            return False
    return not any(shared_memory.is_unfinished(each) for each in (port - 1, port))


def _profile_variable() -> str:
    """The variable this distribution's Fast DDS reads; a later one warns of the older name."""
    return PROFILE_VARIABLES[0] if rclpy_major() >= KILTED else PROFILE_VARIABLES[1]


def rclpy_major() -> int:
    """rclpy's major version: 7 for Jazzy, 9 for Kilted; 0 where it cannot be told."""
    try:
        return int(importlib.metadata.version('rclpy').partition('.')[0])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return 0
