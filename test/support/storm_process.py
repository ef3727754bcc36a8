# SPDX-License-Identifier: Apache-2.0
"""A storm as a user runs it, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from support.manager_process import REPOSITORY, python_path

REPORTED = 5000  # characters of what it printed, in the report of a failure


def run_storm(module: str, *arguments: str, timeout: float) -> str:
    """Run a storm that has to succeed. Returns what it printed on its standard output.

    Args:
        module: it is in: ``storm``, or one of its modules.
        arguments: of the command.
        timeout: s, after which it is interrupted.
    """
    process = subprocess.Popen(
        [sys.executable, '-m', module, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ
        | {'PYTHONPATH': python_path(), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'},
        start_new_session=True,
    )
    try:
        printed, errors = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # it ends the processes it has started
            process.communicate(timeout=30)
    assert process.returncode == 0, f'{printed}\n{errors}'[-REPORTED:]
    return printed
