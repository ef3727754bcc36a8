# SPDX-License-Identifier: Apache-2.0
"""Unused ports on this machine."""

from __future__ import annotations

import errno
import socket


def is_free(port: int) -> bool:
    """Return whether a UDP port is unused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def free_port(kind: int = socket.SOCK_DGRAM) -> int:
    """Return a port chosen by the system, for a program that cannot choose one itself."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])
