# SPDX-License-Identifier: Apache-2.0
"""Locks of ROS domains, shared by all users of this machine."""

from __future__ import annotations

import socket

from worker_pipeline.system.unix_sockets import bind_if_free

_NAME = '\0worker_pipeline_test_domain_{}'


def lock_domain(domain: int) -> socket.socket | None:
    """Reserve a ROS domain; return what holds it until it is closed, None if it is reserved.

    It is a Unix-domain socket with a name in the abstract namespace, which has no owner and no
    permissions, so users see each other's; a file in /tmp would be its first user's alone. The
    names belong to the network namespace, as the ports of DDS do: a container with a network of its
    own has its own domains too. The kernel releases a name with the last process that has it open.

    Raises OSError where no socket can be made.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    is_free = False
    try:
        is_free = bind_if_free(lock, _NAME.format(domain))
    finally:
        if not is_free:
            lock.close()
    return lock if is_free else None
