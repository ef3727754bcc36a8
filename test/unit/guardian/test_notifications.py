# SPDX-License-Identifier: Apache-2.0
"""What systemd is notified of while managers come and go."""

from __future__ import annotations

import pytest

from worker_pipeline.guardian.notifications import (
    READY,
    RETRY_PERIOD,
    START_TIMEOUT,
    STOPPING,
    Notifications,
)
from worker_pipeline.system.systemd_notifier import SystemdNotifier

WATCHDOG = 9.0  # s; a ping is due every 3 s
ALIVE = 'WATCHDOG=1'


class Systemd(SystemdNotifier):
    """A service manager whose socket may be full."""

    def __init__(self, address: str = 'a socket', watchdog: float = WATCHDOG) -> None:
        super().__init__(address, watchdog)
        self.received: list[str] = []
        self.is_full = False

    def _send(self, message: str) -> bool:
        if not self.is_full:
            self.received.append(message)
        return not self.is_full


@pytest.fixture
def systemd() -> Systemd:
    return Systemd()


def test_what_the_manager_says_is_passed_on(systemd):
    """READY is told apart, as from then on the pipeline is kept running."""
    passing = Notifications(systemd)
    assert [passing.pass_on(each) for each in ('STATUS=active', READY, ALIVE)] == [0, 1, 0]
    assert systemd.received == ['STATUS=active', READY, ALIVE]


def test_the_end_of_one_manager_is_not_that_of_the_service(systemd):
    """STOPPING is for a service that was asked to stop."""
    passing = Notifications(systemd)
    passing.pass_on(STOPPING)
    assert systemd.received == []
    passing.stop()
    passing.pass_on(STOPPING)
    assert systemd.received == [STOPPING]


def test_the_watchdog_is_pinged_while_a_manager_starts_and_while_there_is_none(systemd):
    """Then the manager does it, or nobody: one that hangs is for systemd to kill."""
    passing = Notifications(systemd)
    passing.started(0.0)
    for now in range(7):
        passing.tick(float(now))
    assert systemd.received == [ALIVE] * 3
    passing.running()
    passing.tick(100.0)
    assert passing.due(100.0) is None
    assert systemd.received == [ALIVE] * 3
    passing.ended()
    passing.tick(101.0)
    assert systemd.received == [ALIVE] * 4
    assert passing.due(101.0) == 104.0


def test_a_manager_that_hangs_at_its_start_is_not_covered_for_ever(systemd):
    passing = Notifications(systemd)
    passing.started(0.0)
    passing.tick(START_TIMEOUT)
    assert systemd.received == []
    assert passing.due(START_TIMEOUT) is None


def test_what_a_full_socket_does_not_take_is_sent_later(systemd):
    """In order."""
    passing = Notifications(systemd)
    passing.running()
    systemd.is_full = True
    passing.pass_on('STATUS=1')
    passing.pass_on(READY)
    assert passing.due(5.0) == 5.0 + RETRY_PERIOD
    systemd.is_full = False
    passing.tick(5.1)
    assert systemd.received == ['STATUS=1', READY]
    assert passing.due(5.1) is None


def test_without_a_service_manager_nothing_is_kept():
    """READY is known all the same."""
    systemd = Systemd(address='', watchdog=0.0)
    passing = Notifications(systemd)
    passing.started(0.0)
    assert passing.pass_on(READY)
    passing.tick(1.0)
    assert systemd.received == []
    assert passing.due(1.0) is None
