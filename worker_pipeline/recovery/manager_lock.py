# SPDX-License-Identifier: Apache-2.0
"""One manager of a name in a ROS domain on this machine, whoever's it is.

The folder of a pipeline's state is its user's own. Two users' managers with one name in one domain
would hear each other's items, and each item would be answered twice; so would two of one user if
the folder was removed, or in containers that share only the network.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import socket
import time

from worker_pipeline.recovery.folder_lock import LOCK_TIMEOUT, AlreadyRunningError
from worker_pipeline.system.unix_sockets import bind_if_free, peer_of

# How many refused managers may ask who it is before later ones are not told.
_BACKLOG = 128


def lock_manager_name(domain: int, name: str) -> socket.socket:
    """Reserve a manager's name until the returned socket is closed, or this process exits.

    Abstract names belong to the network namespace, as what DDS sends to this machine does.

    Args:
        domain: The ROS domain.
        name: The manager's node, ``/airside/manager``.

    Raises:
        AlreadyRunningError: Another process has it.
        OSError: No socket can be made.
    """
    # By its hash: the name may be longer than a socket's.
    digest = hashlib.sha256(f'{domain} {name}'.encode()).hexdigest()
    address = f'\0worker_pipeline_manager_{digest}'
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    deadline = time.monotonic() + LOCK_TIMEOUT
    try:
        while not bind_if_free(lock, address):
            if time.monotonic() > deadline:
                raise AlreadyRunningError(name, *_holder(address))
            time.sleep(0.005)  # the holder may be about to exit
        lock.listen(_BACKLOG)
    except BaseException:
        lock.close()
        raise
    return lock


def _holder(address: str) -> tuple[int, str]:
    """Return the pid of the process that has a name, 0 if not known, and what else is known."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(address)
            peer = peer_of(asking)
        except OSError:
            return 0, 'of a process that does not answer'
    owner = '' if peer.user == os.getuid() else f'of user {_name_of(peer.user)}'
    if peer.pid:
        return peer.pid, owner
    # The kernel translates it to what it is here.
    return 0, ' '.join(filter(None, [owner, 'in another PID namespace, such as a container']))


def _name_of(user: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(user).pw_name
    return str(user)
