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
from worker_pipeline.runtime.dds_profile import (
    LEASE,
    LEASE_ACROSS_MACHINES,
    ROOM_FOR_FRAMES,
    Transports,
    compose,
)

RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
# Participants' numbers for workers: above those that Fast DDS gives to other nodes, from 0 up, and
# below what makes ports of the next domain.
FIRST_NUMBER, LAST_NUMBER = 40, 118
# And for managers: among those that a newcomer on this machine looks for.
MANAGER_NUMBERS = range(1, 31)
# rclpy's major version in ROS 2 Kilted, the first with Fast DDS 3.
KILTED = 9


@attrs.frozen
class Settings:
    """How the processes of a pipeline talk, where the user has not made a choice of his own."""

    common: str  # path of the profile that they have in common
    worker: Transports

    @property
    def manager(self) -> Transports:
        """It hears cameras, and those who look at what its stages send, which are not ours.

        And it is what links stages on one machine with stages on another.
        """
        lease = LEASE if self.worker.loopback else LEASE_ACROSS_MACHINES
        return attrs.evolve(self.worker, shared_memory=True, room=ROOM_FOR_FRAMES, lease=lease)


def apply_defaults(folder: Path) -> Settings | None:
    """Set what is not set: discovery on this machine only, and the shipped Fast DDS profile.

    ``folder`` is the package's ``config`` folder. To be called before ``rclpy.init``; processes
    started later inherit it. Returns how the processes of a pipeline are to talk, or None where the
    user has chosen a profile, a transport or another middleware, which then holds for all of them.
    """
    os.environ.setdefault(RANGE, 'LOCALHOST')
    common = str(folder / 'fastdds.xml')
    chosen = {os.environ.get(each, common) for each in PROFILE_VARIABLES}
    if 'FASTDDS_BUILTIN_TRANSPORTS' in os.environ or chosen != {common} or not _is_fast_dds():
        return None
    os.environ[profile_variable()] = common
    # Otherwise what the profile says of writers has no effect.
    os.environ.setdefault('RMW_FASTRTPS_USE_QOS_FROM_XML', '1')
    local = os.environ[RANGE] == 'LOCALHOST'
    # Those are looked for in no other range; and in this one rmw_fastrtps adds shared memory.
    has_peers = bool(os.environ.get('ROS_STATIC_PEERS'))
    worker = Transports(loopback=local and not has_peers, shared_memory=local and has_peers)
    return Settings(common, worker)


def workers_use_shared_memory(settings: Settings | None) -> bool:
    """Whether workers may use Fast DDS's; without settings, as the user's own choice may say so."""
    return settings is None or settings.worker.shared_memory


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
def participant(
    common: str, transports: Transports, number: int | None = None, folder: Path | None = None
) -> Iterator[None]:
    """Have the participant made within the context use these transports and a number, if free.

    Fast DDS reads a profile once in a process, before its first participant. It is written to a
    file in ``folder``, which a process that is killed within the context cannot remove.
    """
    while number is not None and number < LAST_NUMBER and not _is_free(number):
        number += 1
    with tempfile.NamedTemporaryFile('w', prefix='fastdds_', suffix='.xml', dir=folder) as profile:
        version = 3 if rclpy_major() >= KILTED else 2
        profile.write(compose(Path(common), transports, number, version=version))
        profile.flush()
        settings = {profile_variable(): profile.name}
        if transports.loopback:
            # The profile keeps it on this machine. LOCALHOST would add shared memory to it.
            settings[RANGE] = 'SYSTEM_DEFAULT'
        before = {name: os.environ[name] for name in settings}
        os.environ |= settings
        try:
            yield
        finally:
            os.environ |= before


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


def profile_variable() -> str:
    """The variable this distribution's Fast DDS reads; a later one warns of the older name."""
    return PROFILE_VARIABLES[0] if rclpy_major() >= KILTED else PROFILE_VARIABLES[1]


def _is_fast_dds() -> bool:
    """Whether the middleware is Fast DDS, the only one for which there is something to set."""
    from rclpy.utilities import get_rmw_implementation_identifier

    return str(get_rmw_implementation_identifier()).startswith('rmw_fastrtps')


def rclpy_major() -> int:
    """rclpy's major version: 7 for Jazzy, 9 for Kilted; 0 where it cannot be told."""
    try:
        return int(importlib.metadata.version('rclpy').partition('.')[0])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return 0
