# SPDX-License-Identifier: Apache-2.0
"""The output relay of an earlier manager, which ends when another one takes over."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from worker_pipeline.system.files import read_file
from worker_pipeline.system.proc import start_of

TAKEOVER_TIMEOUT = 1.0  # s


def end_former_relay(file: Path, but: int) -> None:
    """End the relay of an earlier manager, which would read a part of what the workers print.

    Args:
        file: Names it.
        but: The pid of the present one.
    """
    try:
        pid, started = (int(each) for each in read_file(file).split())
        if pid == but:
            return
        pidfd = os.pidfd_open(pid)
    except (OSError, ValueError):
        return
    try:
        if start_of(pid) != started:
            return
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(pidfd, number)
            if poll.poll(TAKEOVER_TIMEOUT * 1e3):
                return
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
