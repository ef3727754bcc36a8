# SPDX-License-Identifier: Apache-2.0
"""Simulated vehicles on real links, in processes of their own."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

from support.manager_process import python_path
from worker_pipeline.airside.simulation.autopilot import SECONDS


@contextlib.contextmanager
def deaf_listener() -> Iterator[int]:
    """Yield a TCP port on which connection attempts are never answered."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(('127.0.0.1', 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):  # more than it has room for
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(address)
        yield int(address[1])


@contextlib.contextmanager
def vehicle_process(address: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a vehicle without noise; yield the process and when its flight began, ns."""
    command = [
        sys.executable,
        '-m',
        'worker_pipeline.airside.simulation.vehicle',
        '--connection',
        address,
    ]
    process = subprocess.Popen(
        [*command, '--noise', '0', *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {'PYTHONPATH': python_path()},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        begins = re.search(r'begins at ([0-9.]+)', line)
        assert begins is not None, line
        yield process, round(float(begins[1]) * SECONDS)
    finally:
        process.kill()
        process.communicate()
