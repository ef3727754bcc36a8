# SPDX-License-Identifier: Apache-2.0
"""One manager of a name in a domain on this machine, among all its users."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from worker_pipeline.recovery.manager_lock import lock_manager_name
from worker_pipeline.recovery.state_dir import AlreadyRunningError

# Holds the name until its input ends; first it becomes the user that is given.
HOLDER = """
import os, sys
from worker_pipeline.recovery.manager_lock import lock_manager_name

if len(sys.argv) > 1:
    os.setuid(int(sys.argv[1]))
lock = lock_manager_name(231, '/test_manager_lock/manager')
print('locked', flush=True)
sys.stdin.read()
"""
NAME = '/test_manager_lock/manager'
NOBODY = 65534


def holder(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, '-c', HOLDER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == 'locked\n'
    return process


def refusal() -> AlreadyRunningError:
    with pytest.raises(AlreadyRunningError) as caught:
        lock_manager_name(231, NAME)
    return caught.value


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr('worker_pipeline.recovery.manager_lock.LOCK_TIMEOUT', 0.05)


def test_the_second_manager_of_a_name_is_refused_until_the_first_is_dead():
    """With its pid, also where no folder shows it. Another domain or name is free."""
    with holder() as first:
        for _ in range(3):
            error = refusal()
            assert error.pid == first.pid
            assert str(error).startswith(
                f'{NAME}: found a manager already running, pid {first.pid};'
            )
        lock_manager_name(230, NAME).close()
        lock_manager_name(231, f'{NAME}_b').close()
        first.kill()
        first.wait(20)
    lock_manager_name(231, NAME).close()


@pytest.mark.skipif(os.getuid() != 0, reason='only root becomes another user')
def test_a_manager_of_another_user_is_named_with_its_user():
    """Both would hear each other's items."""
    with holder(str(NOBODY)) as first:
        error = refusal()
        assert f'found a manager already running, pid {first.pid} of user nobody;' in str(error)
        first.kill()


def test_a_manager_that_is_not_asked_any_more_is_refused_without_its_pid(monkeypatch):
    """As after many refusals: each stays in the queue of the first one's socket."""
    monkeypatch.setattr('worker_pipeline.recovery.manager_lock._BACKLOG', 0)
    with lock_manager_name(231, NAME):
        texts = [str(refusal()) for _ in range(4)]
    assert f'pid {os.getpid()}' in texts[0]
    assert 'of a process that does not answer' in texts[-1]
