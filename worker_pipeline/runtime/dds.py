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

from worker_pipeline.runtime.dds_profile import (
    LEASE,
    LEASE_ACROSS_MACHINES,
    Transports,
    compose,
)

RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
PEERS = 'ROS_STATIC_PEERS'
TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
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
        """It is what links stages on one machine with stages on another."""
        lease = LEASE if self.worker.loopback else LEASE_ACROSS_MACHINES
        return attrs.evolve(self.worker, lease=lease)


def apply_defaults(folder: Path) -> Settings | None:
    """Set what is not set: discovery on this machine only, and the shipped Fast DDS profile.

    ``folder`` is the package's ``config`` folder. To be called before ``rclpy.init``; processes
    started later inherit it. Returns how the processes of a pipeline are to talk, or None where the
    user has chosen a profile, a transport or another middleware, which then holds for all of them.
    A choice of transports holds in other ranges than LOCALHOST: there rmw_fastrtps has its own.
    Raises OSError where a static peer has no address.
    """
    os.environ.setdefault(RANGE, 'LOCALHOST')
    local = os.environ[RANGE] == 'LOCALHOST'
    common = str(folder / 'fastdds.xml')
    chosen = {os.environ.get(each, common) for each in PROFILE_VARIABLES}
    if (TRANSPORTS in os.environ and not local) or chosen != {common} or not _is_fast_dds():
        return None
    os.environ[profile_variable()] = common
    # Otherwise what the profile says of writers has no effect.
    os.environ.setdefault('RMW_FASTRTPS_USE_QOS_FROM_XML', '1')
    # In other ranges rmw_fastrtps takes care of them.
    peers = _static_peers() if local else ()
    return Settings(common, Transports(loopback=local and not peers, peers=peers))


def _static_peers() -> tuple[str, ...]:
    """The addresses of other machines that are to be looked for."""
    addresses = []
    for name in filter(None, os.environ.get(PEERS, '').split(';')):
        try:
            addresses.append(socket.gethostbyname(name))
        except OSError as error:
            raise OSError(f'{PEERS}: found {name!r}, which has no address: {error}') from None
    return tuple(addresses)


def may_use_shared_memory(settings: Settings | None) -> bool:
    """Whether our processes may use Fast DDS's: where the user's own choice holds it may say so."""
    return settings is None


def participant_numbers(first: int) -> Iterator[int]:
    """Numbers for the participants of successive processes, each as late as possible again.

    A participant's number makes its ports. Left to itself, Fast DDS gives a replacement the number
    and so the ports of the dead, to which others still send what was meant for him.
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
        if transports.looked_for:
            # The profile says where to look. LOCALHOST would add shared memory to it.
            settings[RANGE] = 'SYSTEM_DEFAULT'
        before = {name: os.environ[name] for name in settings}
        os.environ |= settings
        try:
            yield
        finally:
            os.environ |= before


def _is_free(number: int) -> bool:
    """Whether no participant has a number: its port for user data (RTPS 9.6.1.1) is free."""
    domain = int(os.environ.get('ROS_DOMAIN_ID') or 0)
    port = 7400 + 250 * domain + 11 + 2 * number
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('127.0.0.1', port))
        except OSError:
            return False
    return True


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
