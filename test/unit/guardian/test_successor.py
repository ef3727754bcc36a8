# SPDX-License-Identifier: Apache-2.0
"""The next manager, kept ready."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from worker_pipeline.guardian.successor import DELAY, RETRY_DELAY, Successor
from worker_pipeline.system.guardian_link import PREPARED


class Fork:
    """A process that sleeps, and what it has sent."""

    made: list[Fork]

    def __init__(self) -> None:
        self.pid = 0
        self.link: Any = None
        self.sent: list[bytes] = []
        self.error: OSError | None = None
        self.made.append(self)

    def start(self, server: object, _in_manager: object) -> None:
        assert server is None, 'it begins later'
        self.pid = os.posix_spawn('/bin/sleep', ['sleep', '1000'], os.environ)
        self.link = object()

    def receive(self) -> list[bytes]:
        sent, self.sent = self.sent, []
        return sent

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def has_exited(self) -> None:
        self.pid, self.link = 0, None

    def leave(self) -> None:
        self.link = None


@pytest.fixture
def made(monkeypatch):
    found: list[Fork] = []
    monkeypatch.setattr(Fork, 'made', found, raising=False)
    yield found
    for each in found:
        if each.pid:
            os.kill(each.pid, signal.SIGKILL)
            os.waitpid(each.pid, 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / 'parameters.yaml'
    found.write_text('a')
    return found


@pytest.fixture
def successor(made, file) -> Successor:  # noqa: ARG001
    make: Any = Fork
    found = Successor(make, lambda: None, ['', '--ros-args', '--params-file', str(file)])
    found.is_wanted = True
    return found


def prepare(successor: Successor, made: list[Fork]) -> Fork:
    successor.manager_is_active(0.0)
    successor.tick(DELAY)
    made[-1].sent.append(PREPARED)
    successor.receive()
    return made[-1]


def test_it_is_started_some_time_after_the_manager_is_active(successor, made):
    """Once."""
    successor.manager_is_active(5.0)
    successor.tick(5.0)
    assert not successor.pid
    assert successor.start_at == 5.0 + DELAY
    successor.tick(5.0 + DELAY)
    assert successor.pid
    count = len(made)
    successor.manager_is_active(6.0)
    successor.tick(9.0)
    assert len(made) == count


def test_none_is_started_where_none_is_wanted(successor):
    """As with ``spares: 0``."""
    successor.is_wanted = False
    successor.manager_is_active(0.0)
    successor.tick(10.0)
    assert not successor.pid


def test_one_that_is_ready_is_given_away(successor, made):
    """There is none then, until the next manager is active."""
    fork = prepare(successor, made)
    assert successor.take() is fork
    assert not successor.pid
    assert successor.take() is None
    successor.manager_is_active(10.0)
    successor.tick(11.0)
    assert successor.pid


def test_one_that_is_not_ready_is_not_waited_for(successor, made):
    """It is ended, and a manager forked instead."""
    successor.manager_is_active(0.0)
    successor.tick(DELAY)
    pid = made[-1].pid
    assert successor.take() is None
    assert not os.path.exists(f'/proc/{pid}')


def test_one_that_has_read_other_parameters_is_not_used(successor, made, file):
    """The next manager has what the file has when it is started."""
    prepare(successor, made)
    file.write_text('another')
    assert successor.take() is None
    assert not successor.pid


def test_one_that_dies_is_replaced_later(successor, made):
    """Not at once: it may die again."""
    fork = prepare(successor, made)
    fork.send_signal(signal.SIGKILL)
    os.waitpid(fork.pid, 0)
    successor.has_exited(20.0)
    assert successor.take() is None
    successor.has_exited(20.0)
    successor.tick(20.0 + RETRY_DELAY - 0.1)
    assert not successor.pid
    successor.tick(20.0 + RETRY_DELAY)
    assert successor.pid


def test_at_the_end_none_is_left(successor, made):
    """Also one that does not leave by itself."""
    pid = prepare(successor, made).pid
    successor.leave()
    successor.end()
    assert not successor.pid
    assert not os.path.exists(f'/proc/{pid}')
