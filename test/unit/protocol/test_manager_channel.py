# SPDX-License-Identifier: Apache-2.0
"""The manager's server and a worker's channel to it exchange packets, while either may die."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest
from support.channel_manager import Manager
from support.child_processes import child

from worker_pipeline.protocol import channel as channels
from worker_pipeline.protocol.channel import Packet, PacketType
from worker_pipeline.testing import wait_for
from worker_pipeline.worker.manager_channel import ManagerChannel

LARGE = 7_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'socket'


@pytest.fixture
def manager(path):
    made = Manager(path)
    yield made
    made.close()


class Worker:
    """A worker's channel, and the packets that it received."""

    def __init__(self, path: Path) -> None:
        self.received: list[Packet] = []
        self.hello_body = b'nothing'
        self.channel = ManagerChannel(path, self.hello, self.received.append)

    def hello(self) -> list[Packet]:
        return [
            Packet(PacketType.HELLO, 0, self.hello_body),
            Packet(PacketType.STATUS, 0, b'active'),
        ]

    def wait_for(self, count: int) -> None:
        """Poll for packets as a worker's main thread does."""
        deadline = time.monotonic() + 10.0
        while len(self.received) < count:
            assert time.monotonic() < deadline, f'{len(self.received)} of {count} packets'
            self.channel.poll(wait=True)


@pytest.fixture
def worker(path):
    made = Worker(path)
    yield made
    made.channel.close()


def test_hello_is_sent_first_and_then_all_packets_in_order(manager, worker):
    """In both directions."""
    assert worker.channel.connect(os.getpid())
    worker.channel.send(PacketType.OUTPUT, 7, b'done')
    wait_for(lambda: len(manager.received) == 3, "the worker's packets")
    assert [each.kind for each in manager.received] == [
        PacketType.HELLO,
        PacketType.STATUS,
        PacketType.OUTPUT,
    ]
    assert manager.channels[0].peer_pid == os.getpid()
    manager.send(PacketType.ITEM, 8, b'item')
    manager.send(PacketType.CHANGE_STATE, 0, b'activate')
    worker.wait_for(2)
    assert worker.received == [
        (PacketType.ITEM, 8, b'item'),
        (PacketType.CHANGE_STATE, 0, b'activate'),
    ]


def test_an_enqueued_packet_is_sent_before_the_next_one(manager, worker):
    """Or when the worker next sends one; it does not wake the worker by itself."""
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: len(manager.channels) == 1, 'the hello')
    enqueue = manager.server.enqueue
    manager.run(lambda: enqueue(manager.channels[0], PacketType.FRAMES_FREED, 1, b'frame'))
    manager.send(PacketType.ITEM, 2, b'item')
    worker.wait_for(2)
    assert [each.kind for each in worker.received] == [PacketType.FRAMES_FREED, PacketType.ITEM]
    manager.run(lambda: enqueue(manager.channels[0], PacketType.FRAMES_FREED, 3, b'frame'))
    worker.channel.send(PacketType.STATUS, 0, b'active')
    worker.wait_for(3)
    assert worker.received[2] == (PacketType.FRAMES_FREED, 3, b'frame')


@pytest.mark.slow
def test_large_packets_in_both_directions_do_not_deadlock(manager, worker):
    """Camera frames that exceed any socket buffer."""
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: len(manager.channels) == 1, 'the hello')
    count = 20

    def send_outputs() -> None:
        for number in range(count):
            worker.channel.send(PacketType.OUTPUT, number, bytes([number]) * LARGE)

    sender = threading.Thread(target=send_outputs)
    manager.run(
        lambda: [
            manager.server.send(
                manager.channels[0], PacketType.ITEM, number, bytes([number]) * LARGE
            )
            for number in range(count)
        ]
    )
    sender.start()
    worker.wait_for(count)
    sender.join()
    wait_for(lambda: len(manager.received) == 2 + count, 'all answers')
    for received in (worker.received, manager.received[2:]):
        assert [each.number for each in received] == list(range(count))
        assert all(each.body == bytes([each.number]) * LARGE for each in received)


def test_without_a_manager_packets_are_discarded_and_waits_can_be_ended(worker):
    """A worker without a manager keeps running."""
    assert not worker.channel.connect(os.getpid())
    assert not worker.channel.connected
    worker.channel.send(PacketType.OUTPUT, 1, b'lost')
    threading.Timer(0.05, worker.channel.wake).start()
    worker.channel.poll(wait=True)


def send_one_item_and_close(path: Path, worker: Worker) -> None:
    """Be a manager that is gone when the worker reads its item."""
    first = Manager(path)
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: first.channels, 'the hello')
    first.send(PacketType.ITEM, 1, b'one')
    first.close()


def test_a_worker_notices_its_managers_end_and_says_hello_to_the_next(path, worker):
    """Packets of the first manager are handled whenever they are read."""
    send_one_item_and_close(path, worker)
    worker.wait_for(1)
    worker.channel.poll(wait=False)
    assert not worker.channel.connected
    second = Manager(path)
    worker.hello_body = b'1'
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: len(second.received) == 2, 'the second hello')
    assert second.received[0].body == b'1'
    second.send(PacketType.ITEM, 2, b'two')
    worker.wait_for(2)
    assert [each.number for each in worker.received] == [1, 2]
    second.close()


def test_unread_packets_of_the_old_manager_are_handled_before_the_next_hello(path, worker):
    """Otherwise the hello would not include them."""
    send_one_item_and_close(path, worker)
    second = Manager(path)
    assert worker.channel.connect(os.getpid())
    assert [each.number for each in worker.received] == [1]
    second.close()


def test_the_main_thread_switches_to_the_new_channel(path, worker):
    """It waits on the old one while another thread connects."""
    first = Manager(path)
    assert worker.channel.connect(os.getpid())
    thread = threading.Thread(target=worker.wait_for, args=(1,))
    thread.start()
    first.close()
    second = Manager(path)
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: second.channels, 'the second hello')
    second.send(PacketType.ITEM, 1, b'one')
    thread.join(5.0)
    assert not thread.is_alive()
    second.close()


def test_a_rejected_worker_is_disconnected_and_may_reconnect(manager, worker):
    """A manager rejects a worker before its slot is ready."""
    manager.accepts_workers = False
    assert worker.channel.connect(os.getpid())

    def is_disconnected() -> bool:
        worker.channel.poll(wait=False)
        return not worker.channel.connected

    wait_for(is_disconnected, 'the end of the channel')
    manager.accepts_workers = True
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: manager.channels, 'the hello')


@pytest.mark.slow
def test_the_last_packets_of_a_killed_process_are_received(manager, path):
    """However late they are read."""
    code = f"""
import os, signal
from pathlib import Path
from worker_pipeline.protocol.channel import PacketType, connect
channel = connect(Path({str(path)!r}))
channel.send_all(PacketType.HELLO)
for number in range(100):
    channel.send_all(PacketType.OUTPUT, number, bytes(1000))
os.kill(os.getpid(), signal.SIGKILL)
"""
    manager.is_worker = lambda _: True  # type: ignore[method-assign]
    with child(code) as process:
        assert process.line() == ''
    wait_for(lambda: manager.channels, 'the hello')
    manager.run(lambda: manager.server.read(manager.channels[0], everything=True))
    assert [each.number for each in manager.received[1:]] == list(range(100))
    assert manager.channels[0].fileno() < 0


def test_the_channel_of_an_exited_process_is_closed_though_another_has_its_end(manager, worker):
    """A child of the worker's stage may have inherited the socket."""
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: manager.channels, 'the hello')
    manager.run(lambda: manager.server.read(manager.channels[0], everything=True))
    assert manager.channels[0].fileno() < 0


def test_closed_channels_leave_no_file_descriptor(path):
    """After 200 connections as before them."""
    made = Manager(path)
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(200):
        caller = channels.connect(path)
        caller.send_all(PacketType.HELLO)
        caller.close()
    wait_for(lambda: len(made.received) == 200, 'all hellos')
    wait_for(lambda: len(os.listdir('/proc/self/fd')) <= before, 'all ends')
    made.close()
    assert not path.exists()


def test_a_worker_talks_to_its_manager_only(manager, worker):
    """Another process may have made the socket: the folder was removed, or is a stranger's."""
    assert not worker.channel.connect(os.getpid() + 1)
    assert not worker.channel.connected
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: len(manager.channels) == 1, 'the hello')


def test_a_worker_does_not_wait_for_a_manager_that_accepts_nobody(path, worker):
    """It may be stopped, and the thread that connects also sends the heartbeats."""
    with channels.listen(path) as listener:
        listener.listen(0)
        with contextlib.ExitStack() as stack:
            while (waiting := channels.connect(path)) is not None:
                stack.callback(waiting.close)
            begin = time.monotonic()
            assert not worker.channel.connect(os.getpid())
            assert time.monotonic() - begin < 1.0


def test_a_worker_that_does_not_understand_its_manager_connects_again(manager, worker, capfd):
    """Rather than to end, or to wait for ever for the rest of a packet."""
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: manager.channels, 'the hello')
    manager.send(PacketType.HELLO, 0, b'')
    wait_for(lambda: worker.channel.poll(wait=False) or not worker.channel.connected, 'its end')
    assert 'found a packet of type 1; allowed: 5, 6, 8, 9, 10' in capfd.readouterr().err
    assert worker.channel.connect(os.getpid())


def test_the_socket_is_made_again_beside_open_connections(manager, worker, path):
    """Its file may be removed; those who are connected stay so, and others can connect again."""
    assert worker.channel.connect(os.getpid())
    wait_for(lambda: manager.channels, 'the hello')
    path.unlink()
    manager.run(manager.server.listen_anew)
    manager.send(PacketType.ITEM, 1, b'one')
    worker.wait_for(1)
    other = Worker(path)
    assert other.channel.connect(os.getpid())
    wait_for(lambda: len(manager.channels) == 2, 'the other hello')
    other.channel.close()
