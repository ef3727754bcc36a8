"""Ports of this machine that nobody uses."""

from __future__ import annotations

import errno
import socket


def is_free(port: int) -> bool:
    """Whether nobody listens there by UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def free_port(kind: int = socket.SOCK_DGRAM) -> int:
    """One that the system has just chosen, for a program that cannot be told to choose itself."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])
