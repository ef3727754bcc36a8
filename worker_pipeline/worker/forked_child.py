# SPDX-License-Identifier: Apache-2.0
"""A process that a stage forks, and that returns from the stage's code as the worker does.

It has the worker's socket and liveness record. Were it to go on, it would answer the item a second
time and take the next ones from the worker.
"""

from __future__ import annotations

import contextlib
import os
import sys


def exit_if_forked(worker: int, error: BaseException | None = None) -> None:
    """Exit if this process is not the worker, but a fork of it.

    Args:
        worker: The pid of the worker.
        error: What the stage's code has raised, if anything.
    """
    if os.getpid() == worker:
        return
    with contextlib.suppress(Exception):  # standard error may be closed
        print(
            f'pid {os.getpid()}, forked by the stage of pid {worker}, has returned from the '
            "stage's code; exiting",
            file=sys.stderr,
            flush=True,
        )
    code = error.code if isinstance(error, SystemExit) else error is not None
    os._exit(int(code) if isinstance(code, int) else 1 if code else 0)
