# SPDX-License-Identifier: Apache-2.0
"""Which processes a pid names: containers have PID namespaces of their own (pid_namespaces(7))."""

from __future__ import annotations

import os


def own_pid_namespace() -> int:
    """Return a number that is the same for all processes to which a pid means the same.

    Only on one machine: the first namespace of each has the same number. 0 if it cannot be read.
    """
    try:
        return os.stat('/proc/self/ns/pid').st_ino
    except OSError:
        return 0
