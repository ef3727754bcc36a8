# SPDX-License-Identifier: Apache-2.0
"""Defaults of the DDS environment; settings of the user override them."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import itertools
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from worker_pipeline.ros.dds_profile import (
    LEASE,
    LEASE_ACROSS_MACHINES,
    Transports,
    compose,
)
from worker_pipeline.ros.rtps import user_port
from worker_pipeline.ros.second_answer import ask_for_second_answer

RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
PEERS = 'ROS_STATIC_PEERS'
# How long a static peer may have no address, and how often it is looked for, s.
PEER_TIMEOUT, PEER_PERIOD = 5.0, 0.25
MAX_HOST_NAME = 253
_LABEL = r'[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
HOST_NAME = re.compile(rf'{_LABEL}(?:\.{_LABEL})*\.?', re.ASCII)
TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
# Participant numbers of workers: above those that Fast DDS gives to other nodes, from 0 up, and
# below those whose ports belong to the next domain.
FIRST_NUMBER, LAST_NUMBER = 40, 118
LAST_PORT = 65535
# Of managers: among those that a new participant on this machine looks for.
MANAGER_NUMBERS = range(1, 31)
# rclpy's major version in ROS 2 Kilted, the first with Fast DDS 3.
KILTED = 9


@attrs.frozen
class Settings:
    """How the processes of a pipeline communicate, unless the user has made a choice."""

    common: str  # path of the common profile
    worker: Transports

    @property
    def manager(self) -> Transports:
        """Return the manager's transports: it connects stages on this machine with others."""
        lease = LEASE if self.worker.loopback else LEASE_ACROSS_MACHINES
        return attrs.evolve(self.worker, lease=lease)


def apply_defaults(folder: Path) -> Settings | None:
    """Set unset variables: discovery on this machine only, and the package's Fast DDS profile.

    Call it before ``rclpy.init``; child processes inherit the variables.

    Args:
        folder: The package's ``config`` folder.

    Returns:
        How the processes of the pipeline communicate; None if the user has chosen a profile,
        transports or another middleware, which then apply to all of them. Chosen transports are
        ignored in the range LOCALHOST, where rmw_fastrtps sets its own.

    Raises:
        ValueError: A static peer's name can be nobody's.
        OSError: A static peer has no address within ``PEER_TIMEOUT``.
    """
    if not os.environ.get(RANGE):  # ROS takes an empty one for the whole network
        os.environ[RANGE] = 'LOCALHOST'
    local = os.environ[RANGE] == 'LOCALHOST'
    common = str(folder / 'fastdds.xml')
    chosen = {os.environ.get(each) or common for each in PROFILE_VARIABLES}
    if (TRANSPORTS in os.environ and not local) or chosen != {common} or not _is_fast_dds():
        return None
    os.environ[profile_variable()] = common
    # Without it the profile's settings of writers have no effect.
    os.environ.setdefault('RMW_FASTRTPS_USE_QOS_FROM_XML', '1')
    # In other ranges rmw_fastrtps handles them.
    peers = _static_peers() if local else ()
    return Settings(common, Transports(loopback=local and not peers, peers=peers))


def _static_peers() -> tuple[str, ...]:
    """Return the addresses of the static peers. Raises ValueError and OSError."""
    names = [each.strip() for each in os.environ.get(PEERS, '').split(';') if each.strip()]
    for name in names:
        if len(name) > MAX_HOST_NAME or not HOST_NAME.fullmatch(name):
            raise ValueError(
                f'{PEERS}: found {name!r}; allowed: names of hosts and IPv4 addresses, '
                'separated by semicolons'
            )
    deadline = time.monotonic() + PEER_TIMEOUT
    return tuple(_address_of(name, deadline) for name in names)


def _address_of(name: str, deadline: float) -> str:
    """Return the address of a host, which at boot may be unknown until the network is up."""
    is_told = False
    while True:
        try:
            return socket.gethostbyname(name)
        except OSError as error:
            if time.monotonic() > deadline:
                raise OSError(f'{PEERS}: found {name!r}, which has no address: {error}') from None
            if not is_told:
                text = f'{PEERS}: {name!r} has no address yet; trying for {PEER_TIMEOUT:g} s'
                print(text, file=sys.stderr, flush=True)
                is_told = True
        time.sleep(PEER_PERIOD)


def lease_of(transports: Transports | None) -> int:
    """Return how long others take a silent process for alive, s.

    ``transports``: The process's; None: the user's own, with the lease that is usual in ROS 2.
    """
    return transports.lease if transports is not None else LEASE_ACROSS_MACHINES


def is_reachable(settings: Settings | None) -> bool:
    """Return whether other machines can send to this pipeline; True if the user has chosen how."""
    return settings is None or not settings.worker.loopback


def may_use_shared_memory(settings: Settings | None) -> bool:
    """Return whether processes may use Fast DDS's shared memory: only if the user has chosen it."""
    return settings is None


def participant_numbers(first: int) -> Iterator[int]:
    """Yield participant numbers for successive processes, each reused as late as possible.

    A participant's ports derive from its number. Fast DDS itself would give a replacement the
    number of the dead process, to whose ports others are still sending.
    """
    count = _last_number() - FIRST_NUMBER + 1
    return (FIRST_NUMBER + (first + step) % count for step in itertools.count())


def worker_limit(settings: Settings | None) -> int | None:
    """Return how many workers and spares a domain has numbers for; None if they are not ours.

    One number stays free: while a worker is being replaced, there may be one more process.
    """
    return None if settings is None else _last_number() - FIRST_NUMBER


def manager_number() -> int:
    """Return a free number for a manager, most likely not that of its dead predecessor."""
    first = os.getpid() % len(MANAGER_NUMBERS)
    order = [*MANAGER_NUMBERS[first:], *MANAGER_NUMBERS[:first]]
    free = (number for number in order if _is_free(number))
    return int(next(free, order[0]))


@contextlib.contextmanager
def participant(
    common: str, transports: Transports, number: int | None = None, folder: Path | None = None
) -> Iterator[None]:
    """Set up the profile of the participant that is created in this context.

    Fast DDS reads the profile once per process, before its first participant.

    Args:
        common: Path of the common profile.
        transports: The participant's transports.
        number: Its number, or the next free one above; None: chosen by Fast DDS.
        folder: Where the profile is written; elsewhere if the folder is gone. A process killed
            within the context leaves it there.
    """
    while number is not None and number < _last_number() and not _is_free(number):
        number += 1
    with _temporary_file(folder) as profile:
        version = 3 if rclpy_major() >= KILTED else 2
        text = compose(Path(common), transports, number, domain=_domain(), version=version)
        profile.write_text(text)
        settings = {profile_variable(): str(profile)}
        if transports.initial_peers:
            # The profile has the peers. LOCALHOST would add shared memory to it.
            settings[RANGE] = 'SYSTEM_DEFAULT'
        before = {name: os.environ[name] for name in settings}
        os.environ |= settings
        try:
            yield
        finally:
            os.environ |= before
    if number is not None and os.environ.get(RANGE) != 'OFF':
        ask_for_second_answer(_domain(), number)


@contextlib.contextmanager
def _temporary_file(folder: Path | None) -> Iterator[Path]:
    """Yield a file that exists in this context, unless somebody else removes it."""
    try:
        descriptor, name = tempfile.mkstemp('.xml', 'fastdds_', folder)
    except (FileNotFoundError, NotADirectoryError):
        descriptor, name = tempfile.mkstemp('.xml', 'fastdds_')
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _domain() -> int:
    return int(os.environ.get('ROS_DOMAIN_ID') or 0)


def _last_number() -> int:
    """Return the last participant number; in domain 232, higher ones would have no port."""
    return min(LAST_NUMBER, (LAST_PORT - user_port(_domain(), 0)) // 2)


def _is_free(number: int) -> bool:
    """Return whether a number is free: its port for user data is not bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('127.0.0.1', user_port(_domain(), number)))
        except OSError:
            return False
    return True


def profile_variable() -> str:
    """Return the variable that this Fast DDS reads; a later one warns of the old name."""
    return PROFILE_VARIABLES[0] if rclpy_major() >= KILTED else PROFILE_VARIABLES[1]


def _is_fast_dds() -> bool:
    """Return whether the middleware is Fast DDS, the only one with settings here."""
    from rclpy.utilities import get_rmw_implementation_identifier

    return str(get_rmw_implementation_identifier()).startswith('rmw_fastrtps')


@functools.cache
def rclpy_major() -> int:
    """Return rclpy's major version: 7 for Jazzy, 9 for Kilted; 0 if unknown."""
    try:
        return int(importlib.metadata.version('rclpy').partition('.')[0])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return 0
