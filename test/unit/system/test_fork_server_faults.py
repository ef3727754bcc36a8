# SPDX-License-Identifier: Apache-2.0
"""A fork server that is stopped, slow or killed, that refuses, or that sends garbage."""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import queue
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from unittest import mock

import pytest

from worker_pipeline.system import fork_client
from worker_pipeline.system.descriptor_passing import receive_packet
from worker_pipeline.system.fork_client import (
    ANSWER_TIMEOUT,
    ForkFailedError,
    ForkServerClient,
    KeptServer,
)
from worker_pipeline.system.fork_server import STARTED
from worker_pipeline.system.processes import Launcher
from worker_pipeline.system.temporary_folder import forbid_abstract_sockets
from worker_pipeline.testing import wait_for

pytestmark = pytest.mark.slow  # most of these start a fork server


@pytest.fixture
def exits() -> queue.SimpleQueue:
    return queue.SimpleQueue()


@pytest.fixture
def launcher(exits) -> Iterator[Launcher]:
    forbid_abstract_sockets()
    found = Launcher('json', lambda pid, reason: exits.put((pid, reason)))
    found.open()
    assert found.start_helper(os._exit, (0,)).join(20.0), 'the server answers'
    yield found
    found.close()


def server_of(launcher: Launcher) -> int:
    (pid,) = launcher.helper_pids
    return pid


@pytest.mark.parametrize('number', [signal.SIGSTOP, signal.SIGKILL, signal.SIGSEGV])
def test_a_server_that_does_not_work_is_replaced_and_the_worker_forked(launcher, exits, number):
    """By the next one. No call takes long; one that is too early for it is refused."""
    server = server_of(launcher)
    living = launcher.start(signal.pause, (), 'living')
    os.kill(server, number)

    def is_forked() -> bool:
        begin = time.monotonic()
        try:
            launcher.start(os._exit, (3,), 'worker')
        except ForkFailedError:  # on a busy machine the next one is still starting
            return False
        finally:
            assert time.monotonic() - begin < 2 * ANSWER_TIMEOUT
        return True

    wait_for(is_forked, 'a worker of the next server')
    assert exits.get(timeout=20.0)[1] == 'exit code 3'
    assert server_of(launcher) != server
    assert not living.join(0.0), 'the others live on'
    living.send_signal(signal.SIGKILL)
    assert exits.get(timeout=20.0)[0] == living.pid


def test_the_watcher_survives_a_server_that_a_start_replaces_as_it_reads(launcher, exits):
    """The start has taken the descriptor of the former one away already: it is -1."""

    def receive() -> list[object]:
        launcher._registered = -1
        raise ForkFailedError(errno.ECONNRESET, 'the fork server has exited', server_is_lost=True)

    server = launcher._server
    with mock.patch.object(server, 'receive', side_effect=receive) as replaced:
        launcher.start(os._exit, (3,), 'worker')  # its exit is reported to the watcher
        wait_for(lambda: replaced.called, 'a look at the reports')
    wait_for(lambda: not exits.empty(), 'the exit, seen by the watcher')
    assert exits.get()[1] == 'exit code 3'


def test_servers_that_are_stopped_one_after_the_other_block_nobody(launcher):
    """Each call has a bound of its own."""
    stopping = threading.Event()

    def stop_servers() -> None:
        while not stopping.wait(0.02):
            for pid in launcher.helper_pids:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=stop_servers)
    thread.start()
    try:
        for _ in range(5):
            begin = time.monotonic()
            with contextlib.suppress(ForkFailedError):
                launcher.start(os._exit, (0,), 'worker')
            assert time.monotonic() - begin < 3 * ANSWER_TIMEOUT
    finally:
        stopping.set()
        thread.join()
    for pid in launcher.helper_pids:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize('number', [errno.EAGAIN, errno.ENOMEM])
def test_a_refused_fork_is_reported_and_the_server_lives_on(tmp_path, monkeypatch, exits, number):
    """As where there are too many processes, or too little memory."""
    refusal = tmp_path / 'refusal'
    monkeypatch.setenv('REFUSAL', str(refusal))
    launcher = Launcher('support.refusing_fork', lambda pid, reason: exits.put((pid, reason)))
    launcher.open()
    try:
        assert launcher.start_helper(os._exit, (0,)).join(20.0), 'the server answers'
        server = server_of(launcher)
        refusal.write_text(str(number))
        for _ in range(3):
            with pytest.raises(ForkFailedError) as caught:
                launcher.start(os._exit, (0,), 'worker')
            assert caught.value.errno == number
            assert not caught.value.server_is_lost
        refusal.unlink()
        launcher.start(os._exit, (4,), 'worker')
        assert exits.get(timeout=20.0)[1] == 'exit code 4'
        assert server_of(launcher) == server
    finally:
        launcher.close()


def test_a_server_without_a_free_descriptor_refuses_and_lives_on(launcher, exits):
    """The kernel passes it fewer descriptors than were sent."""
    server = server_of(launcher)
    limit = resource.prlimit(server, resource.RLIMIT_NOFILE)
    used = {int(each) for each in os.listdir(f'/proc/{server}/fd')}
    free = next(number for number in range(1000) if number not in used)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (free, limit[1]))
    with pytest.raises(ForkFailedError, match='cannot open as many files') as caught:
        launcher.start(os._exit, (0,), 'worker')
    assert caught.value.errno == errno.EMFILE
    resource.prlimit(server, resource.RLIMIT_NOFILE, limit)
    launcher.start(os._exit, (5,), 'worker')
    assert exits.get(timeout=20.0)[1] == 'exit code 5'
    assert server_of(launcher) == server


def test_a_manager_without_a_free_descriptor_loses_no_process(launcher, monkeypatch):
    """A worker that cannot be watched is ended."""
    forked = []

    def no_descriptor(pid: int, _flags: int = 0) -> int:
        forked.append(pid)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, 'pidfd_open', no_descriptor)
    with pytest.raises(ForkFailedError) as caught:
        launcher.start(signal.pause, (), 'worker')
    assert caught.value.errno == errno.EMFILE
    monkeypatch.undo()
    wait_for(lambda: not os.path.exists(f'/proc/{forked[0]}'), 'its end')


def test_a_stopped_server_delays_no_end(exits):
    """It is continued, and ends everything."""
    found = Launcher('json', lambda pid, reason: exits.put((pid, reason)))
    found.open()
    worker = found.start(signal.pause, (), 'worker')
    os.kill(server_of(found), signal.SIGSTOP)
    begin = time.monotonic()
    found.close()
    assert time.monotonic() - begin < fork_client.CLOSE_TIMEOUT
    wait_for(lambda: not os.path.exists(f'/proc/{worker.pid}'), 'the end of the worker')


class Impostor:
    """A server that answers each request in its own way, on a thread."""

    def __init__(self, answer: Callable[[int, socket.socket], None]) -> None:
        self.ours, self.its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._answer = answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.child = os.posix_spawn('/bin/sleep', ['sleep', '1000'], os.environ)
        self.client = ForkServerClient('json', lambda: KeptServer(self.child, self.ours))
        self.client.open()

    def _run(self) -> None:
        self.its.setblocking(True)
        while self.its.recv(0, socket.MSG_PEEK) is not None:
            try:
                request, descriptors = receive_packet(self.its, 64, 8)
            except BlockingIOError:
                continue
            except OSError:
                return
            if not request:
                return
            self._answer(descriptors[1], self.its)
            for each in descriptors:
                os.close(each)

    def close(self) -> None:
        self.client.discard()
        self._thread.join(5.0)
        self.its.close()


@pytest.mark.parametrize(
    'answer',
    [b'x', b'garbage!garbage!', STARTED.pack(0), STARTED.pack(1), STARTED.pack(1 << 40)],
    ids=['short', 'long', 'zero', 'a stranger', 'no pid'],
)
def test_a_wrong_answer_is_an_error_and_nobodys_pid(answer: bytes):
    """Signals to it would reach a stranger."""
    impostor = Impostor(lambda reply, _: os.write(reply, answer) and None)
    try:
        with pytest.raises(ForkFailedError, match='a wrong answer') as caught:
            impostor.client.start(0, [])
        assert caught.value.server_is_lost
    finally:
        impostor.close()


@pytest.mark.parametrize(
    'report', [b'garbage', marshal.dumps(3), marshal.dumps((1, 2)), marshal.dumps(('a',) * 5)]
)
def test_a_report_that_is_none_is_an_error(report: bytes):
    """And ends no thread."""
    impostor = Impostor(lambda *_: None)
    try:
        impostor.its.send(report)
        with pytest.raises(ForkFailedError, match='sends no report') as caught:
            impostor.client.receive()
        assert caught.value.server_is_lost
    finally:
        impostor.close()


def test_garbage_to_the_server_is_ignored(launcher, exits):
    """As are requests without the descriptors that they say they have."""
    server = server_of(launcher)
    connection = launcher._server._control
    assert connection is not None
    for request in (b'x', b'S', b'S\x02', b'S\xff', b'W', b'Wgarbage', b'S' * 64):
        connection.send(request)
    launcher.start(os._exit, (6,), 'worker')
    assert exits.get(timeout=20.0)[1] == 'exit code 6'
    assert server_of(launcher) == server


def test_a_server_that_reads_nothing_blocks_nobody(launcher):
    """Requests wait in its socket until that is full."""
    server = server_of(launcher)
    os.kill(server, signal.SIGSTOP)
    begin = time.monotonic()

    def ask_for_ever() -> None:
        while time.monotonic() < begin + 10.0:
            launcher._server.watch(1, 1)

    with pytest.raises(ForkFailedError, match='takes no requests'):
        ask_for_ever()
    assert time.monotonic() - begin < 10.0
    os.kill(server, signal.SIGCONT)
