"""What systemd, or whoever else has started the manager, is told of it."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from support.configuring import stage
from support.observing import header

from worker_pipeline.testing import wait_for

WATCHDOG = 0.6  # s
ALIVE, READY, STOPPING = 'WATCHDOG=1', 'READY=1', 'STOPPING=1'


class Listener:
    """The service manager's end of its socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.environment = {
            'NOTIFY_SOCKET': str(path),
            'WATCHDOG_USEC': str(int(WATCHDOG * 1e6)),
        }
        self.heard: list[str] = []

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def hears(self, message: str) -> bool:
        """Whether it has been told so by now."""
        while self._next(0.01):
            pass
        return message in self.heard

    def forget(self) -> None:
        """Hear all that was said, and forget it."""
        self.hears('')
        self.heard.clear()

    def is_left_alone(self, seconds: float) -> bool:
        """Whether nobody says so long that he lives."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._next(left) == ALIVE:
                return False
        return True

    def _next(self, timeout: float) -> str:
        self._socket.settimeout(timeout)
        try:
            self.heard.append(self._socket.recv(4096).decode())
        except TimeoutError:
            return ''
        return self.heard[-1]


@pytest.fixture
def listener(tmp_path):
    """One for each test."""
    listening = Listener(tmp_path / 'notify')
    yield listening
    listening.close()


def test_it_is_told_of_a_life_from_ready_to_stopping(start, observer, listener):
    """Ready means active; a manager that stands still does not say that it lives."""
    manager = start(
        {
            'stages': ['slow', 'told'],
            'restart_limit': 0,
            'restart_backoff_max': 60.0,
            'slow': stage('SlowConfigure', params={'seconds': 1.0}),
            'told': stage('Environment'),
        },
        environment=listener.environment,
    )
    wait_for(lambda: listener.hears(READY), 'READY=1', seen=manager.show)
    assert '[airside.slow]: worker_0' in manager.output, 'its slowest worker was there before'
    assert listener.heard.index(ALIVE) < listener.heard.index(READY), 'it lives while it starts'
    status = 'STATUS=active: 2 of 2 workers at work'
    wait_for(lambda: listener.hears(status), status, seen=lambda: listener.heard)

    answers = observer.collect('told/output')
    feed = observer.feeder('told/input')
    observer.wait_until_active('told', 1)
    for number, name in enumerate([*listener.environment, 'ROS_DOMAIN_ID']):
        item = header(number)
        item.frame_id = name
        feed.publish(item)
    wait_for(lambda: len(answers) == 3, 'the environment of a worker')
    assert [each.frame_id for each in answers[:2]] == ['unset', 'unset']
    assert answers[2].frame_id != 'unset'

    # A slot that has failed is told, and no reason to have the manager killed.
    os.kill(observer.pid_of('slow/worker_0'), signal.SIGKILL)
    status = 'STATUS=active: 1 of 2 workers at work; failed: slow/worker_0'
    wait_for(lambda: listener.hears(status), status, seen=lambda: listener.heard)
    listener.forget()
    wait_for(lambda: listener.hears(ALIVE), 'WATCHDOG=1')

    manager.signal(signal.SIGSTOP)
    listener.forget()
    assert listener.is_left_alone(2 * WATCHDOG)
    manager.signal(signal.SIGCONT)
    wait_for(lambda: listener.hears(ALIVE), 'WATCHDOG=1 again')

    assert not listener.hears(STOPPING)
    manager.signal(signal.SIGTERM)
    assert manager.wait() == 0, manager.output
    assert listener.hears(STOPPING)
    assert listener.heard.count(READY) == 0, 'it said so once'


def test_a_watchdog_of_another_process_is_not_fed(start, listener):
    """Its pid says whom it is meant for. To be ready is told all the same."""
    manager = start(
        {'stages': ['echo'], 'echo': stage('Echo')},
        environment={**listener.environment, 'WATCHDOG_PID': str(os.getpid())},
    )
    wait_for(lambda: listener.hears(READY), 'READY=1', seen=manager.show)
    manager.signal(signal.SIGTERM)
    assert manager.wait() == 0
    assert listener.hears(STOPPING)
    assert ALIVE not in listener.heard


def test_a_manager_that_leaves_a_stage_alone_does_not_feed_it(start, listener):
    """It runs, publishes, and supervises the other one: that is not enough to be left alive."""
    manager = start(
        {'stages': ['echo', 'neglected'], 'echo': stage('Echo'), 'neglected': stage('Echo')},
        environment=listener.environment,
        module='support.half_supervised',
    )
    wait_for(lambda: listener.hears(READY), 'READY=1', seen=manager.show)
    manager.signal(signal.SIGUSR1)
    wait_for(lambda: 'RuntimeError: the fault' in manager.output, 'the fault', seen=manager.show)
    listener.forget()
    assert listener.is_left_alone(2 * WATCHDOG)
