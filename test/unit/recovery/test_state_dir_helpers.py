# SPDX-License-Identifier: Apache-2.0
"""The state folder knows the helper processes of its managers, and waits for them at the end."""

from __future__ import annotations

import os
import signal

import pytest
from support.child_processes import child, sleeper
from support.state_dirs import running

from worker_pipeline.recovery import state_dir as state_dir_module
from worker_pipeline.recovery.state_dir import PipelineStateDir
from worker_pipeline.system.proc import start_of
from worker_pipeline.testing import wait_for

pytestmark = pytest.mark.usefixtures('base')


def test_helper_processes_are_those_registered_and_alive():
    """Another process with a reused pid does not count."""
    with running() as state_dir, sleeper() as living, sleeper() as dead:
        assert state_dir.helper_processes() == []
        for process in (living, dead):
            state_dir.add_helper_process(process.pid)
        state_dir.add_helper_process(999_999_999)
        dead.kill()
        wait_for(lambda: start_of(dead.pid) is None, 'its end')
        assert state_dir.helper_processes() == [living.pid]
        with state_dir._helpers_file.open('a') as file:
            file.write(f'{os.getpid()} {start_of(os.getpid()) - 1}\n')
        assert state_dir.helper_processes() == [living.pid]
        living.kill()


def test_a_corrupt_file_of_helper_processes_names_none():
    """For example one that was cut when memory ran out."""
    with running() as state_dir:
        state_dir._helpers_file.write_text('12')
        assert state_dir.helper_processes() == []


def test_close_waits_until_helper_processes_have_exited():
    """No process is left when the manager has exited."""
    state_dir = PipelineStateDir('/airside', 3)
    with child('input()') as helper:
        state_dir.add_helper_process(helper.pid)
        helper.tell()
        state_dir.close(remove=True)
        assert helper.wait() == 0


def test_helper_processes_that_do_not_exit_are_killed(monkeypatch):
    """After a timeout."""
    monkeypatch.setattr(state_dir_module, 'HELPER_EXIT_TIMEOUT', 0.05)
    state_dir = PipelineStateDir('/airside', 3)
    with sleeper() as helper:
        state_dir.add_helper_process(helper.pid)
        state_dir.close(remove=True)
        assert helper.wait(5.0) == -signal.SIGKILL


def test_close_without_removal_leaves_helper_processes_alone():
    """Live workers depend on them."""
    state_dir = PipelineStateDir('/airside', 3)
    with sleeper() as helper:
        state_dir.add_helper_process(helper.pid)
        state_dir.close(remove=False)
        assert helper.poll() is None
        with pytest.MonkeyPatch.context() as patch, running() as state_dir:
            patch.setattr(state_dir_module, 'HELPER_EXIT_TIMEOUT', 0.0)
            assert state_dir.helper_processes() == [helper.pid]
            helper.kill()
