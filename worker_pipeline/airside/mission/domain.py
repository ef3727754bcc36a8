# SPDX-License-Identifier: Apache-2.0
"""An unused ROS domain on this machine."""

from __future__ import annotations

import os
import socket

from worker_pipeline.airside.mission.ports import is_free
from worker_pipeline.ros.rtps import multicast_port
from worker_pipeline.system.domain_lock import lock_domain

_DOMAINS = tuple(range(1, 20))
# Held until this process exits.
_locks: list[socket.socket] = []


def free_domain() -> int:
    """Return an unused domain, tried from one that depends on the process id.

    Nobody listens on its discovery port, and no other mission, of any user, has it until this
    process exits: the managers of missions do not listen there.

    Raises RuntimeError if all are in use.
    """
    first = os.getpid() % len(_DOMAINS)
    for domain in [*_DOMAINS[first:], *_DOMAINS[:first]]:
        if is_free(multicast_port(domain)):
            lock = lock_domain(domain)
            if lock is not None:
                _locks.append(lock)
                return domain
    raise RuntimeError(f'every ROS domain from {_DOMAINS[0]} to {_DOMAINS[-1]} is in use')
