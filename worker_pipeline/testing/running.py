# SPDX-License-Identifier: Apache-2.0
"""Running a pipeline for a test: a manager in a ROS domain of its own, and a probe beside it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from worker_pipeline.testing.domains import isolated_domain
from worker_pipeline.testing.probe import PipelineProbe
from worker_pipeline.testing.waiting import wait_for

START_TIMEOUT = 60.0  # s
STOP_TIMEOUT = 60.0  # s


@contextlib.contextmanager
def run_pipeline(params_file: Path | str, namespace: str = '/airside') -> Iterator[PipelineProbe]:
    """Run a manager with a parameter file for as long as the context lasts; yield a probe.

    The context begins when the manager is active; wait for the stages that the test needs. The
    manager and its workers find the modules that the test finds; their logs, quarantined items and
    other files go to a folder that is removed afterwards.

    Args:
        params_file: The parameter file, as for ``manager --ros-args --params-file``.
        namespace: The pipeline's namespace.

    Raises:
        AssertionError: The manager did not start or stop in time, or failed. Its output, which
            pytest shows, has the reason.
    """
    with isolated_domain() as domain, tempfile.TemporaryDirectory() as folder:
        manager = _start(params_file, namespace, domain, folder)
        try:
            with PipelineProbe(namespace, domain) as probe:
                wait_for(
                    lambda: (
                        manager.poll() is not None
                        or probe.values('manager').get('state') == 'active'
                    ),
                    'an active manager',
                    START_TIMEOUT,
                )
                if not manager.returncode:  # with exit_when_done it may have done all already
                    yield probe
        finally:
            code = _stop(manager)
        assert code == 0, f'the manager exited with code {code}'


def _start(
    params_file: Path | str, namespace: str, domain: int, folder: str
) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        'ROS_DOMAIN_ID': str(domain),
        'ROS_HOME': folder,
        'ROS_LOG_DIR': folder,
        'PYTHONPATH': os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    command = [sys.executable, '-m', 'worker_pipeline', 'manager', '--ros-args']
    command += ['--params-file', str(params_file), '-r', f'__ns:={namespace}']
    # It inherits the lock of the domain, which stays reserved while it lives. In a process group
    # of its own it does not get Ctrl-C: the test ends first, and then stops it.
    return subprocess.Popen(command, env=environment, close_fds=False, start_new_session=True)


def _stop(manager: subprocess.Popen[bytes]) -> int:
    """Stop the manager as Ctrl-C does, and return its exit code; kill it if it does not stop."""
    manager.send_signal(signal.SIGINT)
    try:
        return manager.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(manager.pid, signal.SIGKILL)
        return manager.wait()
