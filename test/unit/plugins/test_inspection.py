# SPDX-License-Identifier: Apache-2.0
"""The processes that import plugins: killed, late, crashed. The launcher is stood in for."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from multiprocessing import Pipe

import pytest
from support.child_processes import sleeper

from worker_pipeline.config import PluginDescription, load
from worker_pipeline.plugins import inspector
from worker_pipeline.plugins.inspector import describe, inspect
from worker_pipeline.system.proc import is_stopped
from worker_pipeline.testing import wait_for

GOOD = PluginDescription('std_msgs/msg/Header', 'std_msgs/msg/Header')


class EndedProcess:
    """A process that has exited with a code."""

    left_behind = ''
    pid = 0

    def __init__(self, exit_code: int | None) -> None:
        self.exit_code = exit_code

    def send_signal(self, number: int) -> None:
        pass

    def join(self, timeout: float) -> None:
        pass


class ScriptedLauncher:
    """Starts no process: each sends a description, or ends with an exit code."""

    def __init__(self, *ends: PluginDescription | int | None) -> None:
        self.ends = list(ends)
        self.kept: list[object] = []

    def pipe(self):
        return Pipe(duplex=False)

    def start_helper(self, _: Callable, arguments: tuple) -> EndedProcess:
        sender, end = arguments[1], self.ends.pop(0)
        if isinstance(end, PluginDescription):
            sender.send(end)
            return EndedProcess(0)
        if end == HANGS:
            self.kept.append(os.dup(sender.fileno()))  # the other end stays open
        return EndedProcess(end)

    def close(self) -> None:
        for descriptor in self.kept:
            os.close(descriptor)


HANGS = 1000


def inspected(*ends: PluginDescription | int | None, timeout: float = 60.0):
    """Return the one stage's description, the warnings, and how many ends were not needed."""
    launcher, warnings = ScriptedLauncher(*ends), []
    keys = {'stages': ['one'], 'one.plugin': 'a.b:C', 'one.startup_timeout': timeout}
    stages = load(keys).stages
    try:
        description = inspect(stages, launcher, warn=warnings.append)['one']
    finally:
        launcher.close()
    return description, warnings, len(launcher.ends)


def test_a_stopped_process_is_not_waited_for_until_it_is_late(monkeypatch):
    """After a moment it counts as killed, and is started once more."""
    monkeypatch.setattr(inspector, 'POLL_PERIOD', 0.01)
    with sleeper() as process:
        os.kill(process.pid, signal.SIGSTOP)
        wait_for(lambda: is_stopped(process.pid), 'the stop')
        monkeypatch.setattr(EndedProcess, 'pid', process.pid)
        description, warnings, unused = inspected(HANGS, GOOD)
    assert description == GOOD
    assert not unused
    (warning,) = warnings
    assert 'importing it was stopped by a signal; importing it once more' in warning


@pytest.mark.parametrize('end', [-signal.SIGKILL, -signal.SIGABRT, -signal.SIGBUS, None])
def test_a_killed_process_is_started_once_more(end: int | None):
    """The kernel may have needed its memory."""
    description, (warning,), left = inspected(end, GOOD)
    assert (description, left) == (GOOD, 0)
    assert warning.startswith("one: plugin: found 'a.b:C'; importing it ended the process: ")


def test_a_process_that_is_killed_twice_may_pass():
    """A later start of the manager may find more memory; this one does not go on for ever."""
    description, warnings, left = inspected(-9, -9, GOOD)
    assert description.may_pass
    assert description.problems[0].endswith('importing it ended the process: killed by SIGKILL')
    assert (len(warnings), left) == (1, 1)


def test_an_exit_of_its_own_is_a_mistake():
    """As of a module that is a script; it is imported once."""
    description, warnings, left = inspected(9, GOOD)
    assert not description.may_pass
    assert (warnings, left) == ([], 1)


def test_an_import_that_is_too_slow_may_pass_and_is_not_repeated():
    """Its time is over; the next start finds the files in memory."""
    description, warnings, left = inspected(HANGS, GOOD, timeout=0.1)
    assert description.may_pass
    assert 'took longer than startup_timeout, 0.1 s' in description.problems[0]
    assert (warnings, left) == ([], 1)


@pytest.mark.parametrize(
    ('line', 'may_pass'),
    [
        ('raise MemoryError', True),
        (f'raise OSError({errno.ENOSPC}, "No space left on device")', True),
        ('open("/nonexistent/model.onnx")', True),
        ('import no_such_module_of_any_kind', False),
        ('1 / 0', False),
    ],
)
def test_an_import_may_fail_for_a_cause_that_passes(line, may_pass, tmp_path, monkeypatch):
    """As while a disk is full, or not yet mounted; a mistake in the code stays."""
    name = f'plugin_{abs(hash(line))}'
    (tmp_path / f'{name}.py').write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    one = load({'stages': ['one'], 'one.plugin': f'{name}:X'}).stages['one']
    description = describe(one)
    assert description.may_pass is may_pass
    assert 'importing it failed: ' in description.problems[0]
