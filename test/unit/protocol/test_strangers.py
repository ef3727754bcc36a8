# SPDX-License-Identifier: Apache-2.0
"""Whoever calls at the manager's socket can neither hold it up nor cost it memory."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time
from collections.abc import Iterator

import pytest
from support.channel_manager import Manager
from support.socket_fuzz import Fuzz

from worker_pipeline.protocol import handshake
from worker_pipeline.protocol.channel import HEADER, MAX_HELLO, PacketType, ProtocolError
from worker_pipeline.protocol.handshake import HELLO_TIMEOUT
from worker_pipeline.system.unix_sockets import Peer
from worker_pipeline.testing import wait_for

HELLO = HEADER.pack(5, PacketType.HELLO, 0) + b'hello'


@pytest.fixture
def manager(tmp_path) -> Iterator[Manager]:
    made = Manager(tmp_path / 'socket')
    yield made
    made.close()
    assert made.internal_errors == []


@contextlib.contextmanager
def caller(manager: Manager, data: bytes = b'') -> Iterator[socket.socket]:
    """Yield a connection on which something was sent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(manager.server._path))
        with contextlib.suppress(BrokenPipeError):  # it has hung up already
            connection.sendall(data)
        connection.settimeout(10.0)
        yield connection


def is_hung_up_on(connection: socket.socket) -> bool:
    """Wait for the end of a connection; return whether nothing came before it."""
    try:
        return connection.recv(1) == b''
    except ConnectionResetError:  # it had sent more than was read
        return True


def test_a_process_that_is_no_worker_is_hung_up_on_before_anything_is_read(manager):
    """Whatever it sends."""
    manager.workers.clear()
    with caller(manager, HELLO) as connection:
        assert is_hung_up_on(connection)
    manager.run(lambda: None)
    reason = 'found no worker of this pipeline; allowed: its workers'
    assert manager.refused == [(os.getpid(), reason)]
    assert manager.received == []


def test_another_users_process_is_refused():
    """Even root's, for whom the folder is no obstacle."""
    reason = handshake.peer_refusal(Peer(7, os.getuid() + 1, 0), lambda _: True)
    assert reason == f'found a process of user {os.getuid() + 1}; allowed: {os.getuid()}, our own'
    assert handshake.peer_refusal(Peer(7, os.getuid(), 0), lambda pid: pid == 7) == ''


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (HEADER.pack(2**31, PacketType.HELLO, 0), 'type 1 and 2,147,483,648 bytes; allowed: 65,'),
        (HEADER.pack(MAX_HELLO + 1, PacketType.HELLO, 0), 'and 65,537 bytes; allowed: 65,536'),
        (HEADER.pack(5, PacketType.OUTPUT, 0) + b'whose', 'found a packet of type 3; allowed: 1'),
        (b'GET / HTTP/1.1\r\n', 'found a packet of type'),
    ],
    ids=['two gigabytes', 'too large', 'an answer', 'another protocol'],
)
def test_a_worker_that_says_something_else_is_hung_up_on(manager, data, reason):
    """At its header."""
    with caller(manager, data) as connection:
        assert is_hung_up_on(connection)
    manager.run(lambda: None)
    assert manager.received == []
    [(pid, found)] = manager.refused
    assert pid == os.getpid()
    assert reason in found


def test_nothing_behind_a_hello_is_lost(manager):
    """It is read once the hello has been accepted."""
    more = HEADER.pack(2, PacketType.OUTPUT, 9) + b'ab'
    with caller(manager, HELLO + more):
        wait_for(lambda: len(manager.received) == 2, 'both packets')
    assert manager.received == [
        (PacketType.HELLO, 0, b'hello'),
        (PacketType.OUTPUT, 9, b'ab'),
    ]


def test_a_hello_may_come_in_pieces(manager):
    """A stream has no packets."""
    with caller(manager) as connection:
        for byte in HELLO:
            connection.send(bytes([byte]))
        wait_for(lambda: manager.received, 'the hello')
    assert manager.received == [(PacketType.HELLO, 0, b'hello')]


def test_who_is_silent_is_hung_up_on(manager):
    """Two seconds after it has connected, also with half a hello."""
    with caller(manager, HELLO[:-1]) as connection:
        wait_for(lambda: manager.server._handshakes, 'the connection')
        manager.run(lambda: manager.server.check(time.monotonic() + HELLO_TIMEOUT - 0.5))
        assert manager.refused == []
        manager.run(lambda: manager.server.check(time.monotonic() + HELLO_TIMEOUT + 0.1))
        assert is_hung_up_on(connection)
    assert manager.refused == [(os.getpid(), 'found no hello for 2 s')]


def test_a_hello_that_only_this_process_was_too_slow_to_read_counts(manager):
    """It was paused, and nobody is to blame."""

    def send_and_check() -> None:
        connection.sendall(HELLO[8:])
        manager.server.check(time.monotonic() + 100.0)

    with caller(manager, HELLO[:8]) as connection:
        wait_for(lambda: manager.server._handshakes, 'the connection')
        manager.run(send_and_check)
        assert manager.received == [(PacketType.HELLO, 0, b'hello')]


def test_one_process_has_few_connections_without_a_hello(manager):
    """The oldest gives way, so that the worker itself can always connect."""
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(caller(manager)) for _ in range(30)]
        with caller(manager, HELLO):
            wait_for(lambda: manager.received, 'the hello')
        assert is_hung_up_on(callers[0])
        wait_for(lambda: len(manager.server._handshakes) <= 4, 'the end of the others')


def test_a_handlers_protocol_error_ends_its_connection(manager):
    """A traceback and an open connection would be the stranger's success."""

    def refuse(*_: object) -> None:
        raise ProtocolError('found nonsense')

    manager.on_hello = refuse  # type: ignore[method-assign, assignment]
    manager.server._on_hello = refuse  # type: ignore[assignment]
    with caller(manager, HELLO) as connection:
        assert is_hung_up_on(connection)
    manager.run(lambda: None)
    assert manager.refused == [(os.getpid(), 'found nonsense')]


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Leave this process a few file descriptors only."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures('few_descriptors')
def test_without_file_descriptors_connections_wait(manager):
    """The listener stays readable, and the manager must not try again and again."""
    with contextlib.ExitStack() as stack:
        waiting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stack.enter_context(waiting)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1, hard))
        waiting.connect(str(manager.server._path))
        waiting.sendall(HELLO)
        wait_for(lambda: manager.refused, 'the refusal')
        for _ in range(10):
            manager.run(lambda: None)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        manager.run(lambda: manager.server.check(time.monotonic()))
        assert manager.received == []
        manager.run(lambda: manager.server.check(time.monotonic() + 0.3))
        wait_for(lambda: manager.received, 'the hello')
    assert manager.refused == [(0, 'a connection cannot be accepted: Too many open files')]


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(3))
def test_random_callers_change_nothing(manager, seed):
    """Bytes, headers, pieces and silence; a worker's own among them: it may have gone mad."""
    with caller(manager, HELLO):
        wait_for(lambda: manager.received, 'the hello')
        open_before = len(os.listdir('/proc/self/fd'))
        fuzz = Fuzz(manager.server._path, seed)
        fuzz.call(200)
        manager.run(lambda: manager.server.check(time.monotonic() + HELLO_TIMEOUT + 0.1))
        fuzz.close()
        wait_for(
            lambda: len(os.listdir('/proc/self/fd')) <= open_before,
            'the end of all connections',
            seen=lambda: len(os.listdir('/proc/self/fd')),
        )
        assert len(manager.server._channels) == 1
