# SPDX-License-Identifier: Apache-2.0
"""Notifications to systemd, over a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from worker_pipeline.system.systemd_notifier import SystemdNotifier


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Yield the service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as bound:
        bound.bind(str(tmp_path / 'notify'))
        yield bound


def received(listener: socket.socket) -> list[str]:
    """Return the messages that have arrived since the last call."""
    messages = []
    while True:
        try:
            messages.append(listener.recv(4096).decode())
        except BlockingIOError:
            return messages


def fill(listener: socket.socket) -> None:
    """Fill the socket's buffer with messages of another sender."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other,
        suppress(BlockingIOError),
    ):
        while True:
            other.sendto(b'STATUS=of another', listener.getsockname())


def test_each_notification_is_sent_once(listener):
    """The status is sent again when it changes."""
    notifier = SystemdNotifier(listener.getsockname())
    for _ in range(2):
        notifier.status('up')
        notifier.ready()
    notifier.status('down')
    notifier.status('up')
    for _ in range(2):
        notifier.stopping()
    assert received(listener) == ['STATUS=up', 'READY=1', 'STATUS=down', 'STATUS=up', 'STOPPING=1']


def test_the_watchdog_is_pinged_at_least_twice_per_timeout(listener):
    """Even if called only every 50 ms, as by the supervision."""
    notifier = SystemdNotifier(listener.getsockname(), watchdog=1.0)
    times = []
    for tick in range(200):
        notifier.ping_watchdog(1000.0 + tick * 0.05)
        times += [tick * 0.05] * len(received(listener))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] == 0.0
    assert min(gaps) > 0.3
    assert max(gaps) <= 0.5


def test_without_a_watchdog_nothing_is_pinged(listener):
    """The service manager has not asked for pings."""
    SystemdNotifier(listener.getsockname()).ping_watchdog(1.0)
    assert received(listener) == []


@pytest.mark.parametrize(
    ('variables', 'is_pinged'),
    [
        ({'WATCHDOG_USEC': '1000000'}, True),
        ({'WATCHDOG_USEC': '1000000', 'WATCHDOG_PID': str(os.getpid())}, True),
        ({'WATCHDOG_USEC': '1000000', 'WATCHDOG_PID': '1'}, False),
        ({'WATCHDOG_USEC': '1000000', 'WATCHDOG_PID': 'x'}, False),
        ({'WATCHDOG_USEC': '0'}, False),
        ({'WATCHDOG_USEC': '-1'}, False),
        ({'WATCHDOG_USEC': 'soon'}, False),
        ({}, False),
    ],
)
def test_the_variables_are_removed_from_the_environment(listener, variables, is_pinged):
    """Only the process they name pings the watchdog, and no child process inherits them."""
    environment = {**variables, 'NOTIFY_SOCKET': listener.getsockname(), 'HOME': '/'}
    notifier = SystemdNotifier.from_environment(environment)
    assert environment == {'HOME': '/'}
    notifier.ping_watchdog(1.0)
    notifier.ready()
    assert received(listener) == ['WATCHDOG=1'] * is_pinged + ['READY=1']


def test_an_abstract_address_is_used():
    """One that begins with a zero byte, written as an @."""
    name = f'worker_pipeline_test_{os.getpid()}'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(f'\0{name}')
        SystemdNotifier.from_environment({'NOTIFY_SOCKET': f'@{name}'}).ready()
        assert received(listener) == ['READY=1']


def test_what_a_full_socket_rejects_is_sent_later(listener):
    """A busy service manager does not block the caller."""
    fill(listener)
    notifier = SystemdNotifier(listener.getsockname(), watchdog=1.0)
    notifier.ready()
    notifier.ping_watchdog(1.0)
    assert set(received(listener)) == {'STATUS=of another'}
    notifier.ready()
    notifier.ping_watchdog(1.05)
    assert received(listener) == ['READY=1', 'WATCHDOG=1']


def test_an_unusable_address_is_ignored(tmp_path):
    """Empty, without a listener, of another kind or too long: the process continues."""
    for address in ('', str(tmp_path / 'gone'), 'vsock:2:1234', '/' + 'a' * 300):
        notifier = SystemdNotifier(address, watchdog=1.0)
        notifier.ready()
        notifier.ping_watchdog(1.0)
        notifier.stopping()
