# SPDX-License-Identifier: Apache-2.0
"""The pipes that the output relay reads."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat

from worker_pipeline.output import redirect

# How much a pipe may hold, bytes; usual are 64 kB.
PIPE_SIZE = 1_048_576


def make_pipe() -> tuple[int, int]:
    """Return the ends of a large pipe: for reading, and for writing."""
    read, write = os.pipe2(os.O_CLOEXEC)
    enlarge(write)
    return read, write


def enlarge(pipe: int) -> None:
    """Have a pipe hold more than usual, if that is allowed."""
    with contextlib.suppress(OSError):  # there may be a limit for this user
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


def existing_pipes(record: str) -> dict[str, str]:
    """Return the pipes of a worker, by the name of the stream."""
    pipes = redirect.worker_pipes(record)
    return {name: path for name, path in pipes.items() if _is_fifo(path)}


def _is_fifo(path: str) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISFIFO(os.stat(path).st_mode)
    return False
