# SPDX-License-Identifier: Apache-2.0
"""The manager notifies systemd, or another service manager, of its state."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from support.configuring import stage
from support.observer import header

from worker_pipeline.testing import wait_for

WATCHDOG = 0.6  # s
ALIVE, READY, STOPPING = 'WATCHDOG=1', 'READY=1', 'STOPPING=1'


class ServiceManager:
    """The service manager's socket, and the notifications it has received."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.environment = {
            'NOTIFY_SOCKET': str(path),
            'WATCHDOG_USEC': str(int(WATCHDOG * 1e6)),
        }
        self.received: list[str] = []

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def has_received(self, message: str) -> bool:
        """Return whether a message has arrived by now."""
        while self._next(0.01):
            pass
        return message in self.received

    def clear(self) -> None:
        """Receive and discard all messages so far."""
        self.has_received('')
        self.received.clear()

    def gets_no_ping(self, seconds: float) -> bool:
        """Return whether no watchdog ping arrives for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._next(left) == ALIVE:
                return False
        return True

    def _next(self, timeout: float) -> str:
        self._socket.settimeout(timeout)
        try:
            self.received.append(self._socket.recv(4096).decode())
        except TimeoutError:
            return ''
        return self.received[-1]


@pytest.fixture
def systemd(tmp_path):
    """Yield a service manager for each test."""
    made = ServiceManager(tmp_path / 'notify')
    yield made
    made.close()


def test_the_manager_notifies_from_ready_to_stopping(start, observer, systemd):
    """READY means active, and a stopped manager sends no watchdog pings."""
    manager = start(
        {
            'stages': ['slow', 'reads'],
            'restart_limit': 0,
            'restart_backoff_max': 60.0,
            'slow': stage('SlowConfigure', params={'seconds': 1.0}),
            'reads': stage('Environment'),
        },
        environment=systemd.environment,
    )
    wait_for(lambda: systemd.has_received(READY), 'READY=1', seen=manager.show)
    assert '[airside.slow]: worker_0' in manager.output, 'its slowest worker was active before'
    assert systemd.received.index(ALIVE) < systemd.received.index(READY), (
        'it sends pings while it starts'
    )
    status = 'STATUS=active: 2 of 2 workers active'
    wait_for(lambda: systemd.has_received(status), status, seen=lambda: systemd.received)

    answers = observer.collect('reads/output')
    feed = observer.feeder('reads/input')
    observer.wait_until_active('reads', 1)
    for number, name in enumerate([*systemd.environment, 'ROS_DOMAIN_ID']):
        item = header(number)
        item.frame_id = name
        feed.publish(item)
    wait_for(lambda: len(answers) == 3, 'the environment of a worker')
    assert [each.frame_id for each in answers[:2]] == ['unset', 'unset']
    assert answers[2].frame_id != 'unset'

    # A failed slot is in the status, but is no reason for systemd to kill the manager.
    os.kill(observer.pid_of('slow/worker_0'), signal.SIGKILL)
    status = 'STATUS=active: 1 of 2 workers active; failed: slow/worker_0'
    wait_for(lambda: systemd.has_received(status), status, seen=lambda: systemd.received)
    systemd.clear()
    wait_for(lambda: systemd.has_received(ALIVE), 'WATCHDOG=1')

    manager.signal(signal.SIGSTOP)
    systemd.clear()
    assert systemd.gets_no_ping(2 * WATCHDOG)
    manager.signal(signal.SIGCONT)
    wait_for(lambda: systemd.has_received(ALIVE), 'WATCHDOG=1 again')

    assert not systemd.has_received(STOPPING)
    manager.signal(signal.SIGTERM)
    assert manager.wait() == 0, manager.output
    assert systemd.has_received(STOPPING)
    assert systemd.received.count(READY) == 0, 'it is sent once'


def test_the_watchdog_of_another_process_is_not_pinged(start, systemd):
    """WATCHDOG_PID names that process. READY and STOPPING are sent all the same."""
    manager = start(
        {'stages': ['echo'], 'echo': stage('Echo')},
        environment={**systemd.environment, 'WATCHDOG_PID': str(os.getpid())},
    )
    wait_for(lambda: systemd.has_received(READY), 'READY=1', seen=manager.show)
    manager.signal(signal.SIGTERM)
    assert manager.wait() == 0
    assert systemd.has_received(STOPPING)
    assert ALIVE not in systemd.received


def test_a_manager_that_does_not_supervise_a_stage_sends_no_pings(start, systemd):
    """Even if it runs, publishes and supervises the other stage."""
    manager = start(
        {'stages': ['echo', 'neglected'], 'echo': stage('Echo'), 'neglected': stage('Echo')},
        environment=systemd.environment,
        module='support.unsupervised_manager',
    )
    wait_for(lambda: systemd.has_received(READY), 'READY=1', seen=manager.show)
    manager.signal(signal.SIGUSR1)
    wait_for(lambda: 'RuntimeError: the fault' in manager.output, 'the fault', seen=manager.show)
    systemd.clear()
    assert systemd.gets_no_ping(2 * WATCHDOG)
