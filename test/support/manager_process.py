# SPDX-License-Identifier: Apache-2.0
"""A real manager process, run as a user runs it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from support.env_marked import MARK, find_marked
from worker_pipeline.recovery.state_dir import manager_of, state_dir_path
from worker_pipeline.testing import wait_for

REPOSITORY = Path(__file__).parents[2]
# No worker is to be replaced because the machine is slow, unless that is what a test is about.
PATIENT = {'heartbeat_timeout': 20.0}
# Of a manager's log, in the report of a failure.
REPORTED_LINES = 100
# Those of the tests that run now, for the report of a failure.
open_managers: list[ManagerProcess] = []


def python_path() -> str:
    """Return the path: ours first, then the former one: a sourced ROS 2 is found by it."""
    inherited = os.environ.get('PYTHONPATH', '')
    ours = [str(REPOSITORY), str(REPOSITORY / 'test')]
    return os.pathsep.join([*ours, *([inherited] if inherited else [])])


class ManagerProcess:
    """``python -m worker_pipeline manager`` with a parameter file, in a domain of its own.

    ``parameters`` are the manager's beside ``PATIENT``, or the text of the whole file;
    ``arguments`` further ones; ``environment`` further variables; ``module`` another one that has
    the same commands;
    ``inside``: the first arguments of its command, to run it on another machine; ``command``:
    another one, that does the same in its own way; ``output``: a descriptor to print into instead
    of the log. Its environment bears a mark, by which every process that descends from it can be
    found, also one that has lost its parents.
    """

    def __init__(
        self,
        directory: Path,
        parameters: dict[str, Any] | str,
        domain: int,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        module: str = 'worker_pipeline',
        inside: Sequence[str] = (),
        command: Sequence[str] = (),
        output: int | None = None,
    ) -> None:
        self.directory = directory
        self.folder = state_dir_path('/airside', domain)
        self.log = directory / 'manager.log'
        self.mark = f'{os.getpid()}-{directory.name}-{id(self)}'
        path = self._parameters = directory / 'parameters.yaml'
        self.write(parameters)
        self._environment = os.environ | {
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'PYTHONPATH': python_path(),
            'ROS_LOG_DIR': str(directory / 'ros_log'),
            'ROS_HOME': str(directory / 'ros_home'),
            MARK: self.mark,
            **(environment or {}),
        }
        usual = [*inside, sys.executable, '-m', module, 'manager', '--ros-args']
        self._command = command or [*usual, '--params-file', str(path), *arguments]
        self.log.write_text('')
        self.process = self._start(output)
        open_managers.append(self)

    def write(self, parameters: dict[str, Any] | str) -> None:
        """Write the parameter file of the next start: the text, or ``PATIENT`` and these."""
        if not isinstance(parameters, str):
            parameters = {**PATIENT, **parameters}
            parameters = yaml.safe_dump({'/**/manager': {'ros__parameters': parameters}})
        self._parameters.write_text(parameters)

    def show(self) -> str:
        """Return its output, for a message."""
        return self.output

    def describe(self) -> str:
        """Return whether it runs, its processes, and the end of its log, for a report."""
        code = self.process.poll()
        lines = [f'{self.directory}: ' + ('runs' if code is None else f'ended with {code}')]
        for process in self.relatives():
            with contextlib.suppress(psutil.Error):
                words = ' '.join(' '.join(process.cmdline()).split())[:100]
                lines.append(f'{process.pid} {process.status()} {process.name()}: {words}')
        return '\n'.join([*lines, *self.output.splitlines()[-REPORTED_LINES:]])

    def _start(self, output: int | None = None) -> subprocess.Popen[bytes]:
        with self.log.open('a') as log:
            return subprocess.Popen(
                self._command,
                stdout=log if output is None else output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self.directory,
                close_fds=False,  # it keeps its domain for as long as it lives
                # A group of its own, so that a test can signal the group as a terminal does.
                start_new_session=True,
            )

    def start_again(self) -> None:
        """Start the next manager after one has ended: same settings, same log."""
        assert self.process.poll() is not None, 'the one before has ended'
        self.process = self._start()

    @property
    def manager_pid(self) -> int:
        """The pid of the manager itself, which its guardian starts again when it dies."""
        return wait_for(lambda: manager_of(self.folder / 'manager'), 'a manager', seen=self.show)

    def next_manager_pid(self, killed: int) -> int:
        """The pid of the manager after the killed one."""

        def found() -> int:
            pid = manager_of(self.folder / 'manager') or 0
            return pid if pid != killed else 0

        return wait_for(found, 'the next manager', seen=self.show)

    def kill_manager(self) -> int:
        """Kill the manager, not its guardian, with SIGKILL; returns its pid."""
        pid = self.manager_pid
        os.kill(pid, signal.SIGKILL)
        return pid

    @property
    def output(self) -> str:
        """All that the manager and its workers have printed."""
        return self.log.read_text(errors='replace')

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Signal the manager, or its whole process group as a terminal does."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the manager's exit; returns its exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f'the manager did not exit within {timeout:g} s; it printed:\n{self.output}'
            ) from None

    def relatives(self) -> list[psutil.Process]:
        """The living processes that descend from the manager, and itself."""
        return find_marked(self.mark)

    def shared_memory(self) -> set[str]:
        """The files in shared memory that the manager and its relatives use now."""
        used = set()
        for process in self.relatives():
            try:
                maps = Path(f'/proc/{process.pid}/maps').read_text()
            except OSError:
                continue
            used |= set(re.findall(r' (/dev/shm/(?:sem\.)?fast\w+)', maps))
        return used

    def close(self) -> None:
        """End the remaining processes."""
        if self in open_managers:
            open_managers.remove(self)
        deadline = time.monotonic() + 40.0
        # Again and again: one may be born while the others are found.
        while (left := self.relatives()) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, 0.2)
        self.process.wait(40.0)
        # A manager that was killed has left it to the next one, and there is none.
        shutil.rmtree(self.folder, ignore_errors=True)
