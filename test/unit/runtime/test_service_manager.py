"""What a service manager is told, over a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from worker_pipeline.runtime.service_manager import ServiceManager


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as bound:
        bound.bind(str(tmp_path / 'notify'))
        yield bound


def heard(listener: socket.socket) -> list[str]:
    """What has come since it was asked last."""
    messages = []
    while True:
        try:
            messages.append(listener.recv(4096).decode())
        except BlockingIOError:
            return messages


def fill(listener: socket.socket) -> None:
    """Have somebody else talk to it until it can take no more."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other,
        suppress(BlockingIOError),
    ):
        while True:
            other.sendto(b'STATUS=of another', listener.getsockname())


def test_each_thing_is_told_once(listener):
    """And the status again when it is another one."""
    told = ServiceManager(listener.getsockname())
    for _ in range(2):
        told.status('up')
        told.ready()
    told.status('down')
    told.status('up')
    for _ in range(2):
        told.stopping()
    assert heard(listener) == ['STATUS=up', 'READY=1', 'STATUS=down', 'STATUS=up', 'STOPPING=1']


def test_it_is_fed_at_least_twice_in_its_time(listener):
    """Also by one who comes by only every 50 ms, as a supervision does."""
    told = ServiceManager(listener.getsockname(), watchdog=1.0)
    times = []
    for tick in range(200):
        told.feed(1000.0 + tick * 0.05)
        times += [tick * 0.05] * len(heard(listener))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] == 0.0
    assert min(gaps) > 0.3
    assert max(gaps) <= 0.5


def test_without_a_watchdog_nothing_is_fed(listener):
    """It has not asked to hear that we live."""
    ServiceManager(listener.getsockname()).feed(1.0)
    assert heard(listener) == []


@pytest.mark.parametrize(
    ('variables', 'is_fed'),
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
def test_what_the_environment_says_is_taken_out_of_it(listener, variables, is_fed):
    """Only whom it names feeds the watchdog; and those whom we start cannot read of it."""
    environment = {**variables, 'NOTIFY_SOCKET': listener.getsockname(), 'HOME': '/'}
    told = ServiceManager.of_this_process(environment)
    assert environment == {'HOME': '/'}
    told.feed(1.0)
    told.ready()
    assert heard(listener) == ['WATCHDOG=1'] * is_fed + ['READY=1']


def test_an_address_that_is_no_file():
    """systemd may give one that begins with a zero byte, written as an @."""
    name = f'worker_pipeline_test_{os.getpid()}'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(f'\0{name}')
        ServiceManager.of_this_process({'NOTIFY_SOCKET': f'@{name}'}).ready()
        assert heard(listener) == ['READY=1']


def test_what_finds_no_room_is_told_later(listener):
    """Nobody waits for a service manager that has much to do."""
    fill(listener)
    told = ServiceManager(listener.getsockname(), watchdog=1.0)
    told.ready()
    told.feed(1.0)
    assert set(heard(listener)) == {'STATUS=of another'}
    told.ready()
    told.feed(1.05)
    assert heard(listener) == ['READY=1', 'WATCHDOG=1']


def test_nobody_is_told_where_there_is_nobody(tmp_path):
    """Nor where the address is of another kind, or too long to be one. It goes on all the same."""
    for address in ('', str(tmp_path / 'gone'), 'vsock:2:1234', '/' + 'a' * 300):
        told = ServiceManager(address, watchdog=1.0)
        told.ready()
        told.feed(1.0)
        told.stopping()
