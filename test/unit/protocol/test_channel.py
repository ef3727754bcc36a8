# SPDX-License-Identifier: Apache-2.0
"""A channel delivers packets whole and in order, including the last ones before a death."""

from __future__ import annotations

import contextlib
import socket
import threading
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.protocol import channel as channels
from worker_pipeline.protocol.channel import (
    FROM_WORKER,
    HEADER,
    MAX_CONTROL,
    MAX_PAYLOAD,
    Channel,
    Packet,
    PacketType,
)
from worker_pipeline.testing import wait_for

LARGE = 7_000_000
ANY = dict.fromkeys(range(12), MAX_PAYLOAD)
packets = st.builds(
    Packet,
    st.integers(1, 6),
    st.integers(0, 2**64 - 1),
    st.one_of(
        st.binary(max_size=50),
        st.builds(
            lambda byte, size: bytes([byte]) * size,
            st.integers(0, 255),
            st.integers(0, 3 * 256 * 1024),
        ),
    ),
)


@contextlib.contextmanager
def pair() -> Iterator[tuple[Channel, Channel]]:
    """Yield both ends of a channel."""
    one, other = (Channel(end, ANY) for end in socket.socketpair())
    yield one, other
    one.close()
    other.close()


def receive_count(channel: Channel, count: int) -> list[Packet]:
    """Receive until ``count`` packets have arrived."""
    received: list[Packet] = []

    def complete() -> bool:
        received.extend(channel.receive())
        return len(received) >= count

    wait_for(complete, f'{count} packets', seen=lambda: len(received))
    return received


@given(sent=st.lists(packets, max_size=8))
def test_enqueued_packets_arrive_whole_and_in_order(sent):
    """A packet that the socket has no room for is kept and sent later."""
    with pair() as (one, other):
        received: list[Packet] = []
        for packet in sent:
            one.enqueue(*packet)
            one.flush()
        while one.has_unsent:
            received += other.receive()
            one.flush()
        received += other.receive(everything=True)
        assert received == sent
        assert not other.closed


@given(sent=st.lists(packets, max_size=8))
def test_send_all_delivers_packets_whole_and_in_order(sent):
    """The sender waits for the receiver."""
    with pair() as (one, other):
        sender = threading.Thread(target=lambda: [one.send_all(*each) for each in sent])
        sender.start()
        assert receive_count(other, len(sent)) == sent
        sender.join()


@given(sent=st.lists(packets, min_size=1, max_size=5), data=st.data())
def test_packets_are_found_however_the_stream_is_cut(sent, data):
    """A stream socket has no message boundaries: reads may return any number of bytes."""
    first, second = socket.socketpair()
    with first, second:
        sender, receiver = Channel(first, ANY), Channel(second, ANY)
        thread = threading.Thread(target=lambda: [sender.send_all(*each) for each in sent])
        thread.start()
        stream = bytearray()
        while thread.is_alive() or is_readable(second):
            with contextlib.suppress(BlockingIOError):
                stream += second.recv(1 << 20, socket.MSG_DONTWAIT)
        cut = data.draw(st.integers(0, len(stream)))
        received = []
        for part in (stream[:cut], stream[cut:]):
            for at in range(0, len(part), 100_000):
                first.sendall(part[at : at + 100_000])
                received += receiver.receive(everything=True)
        assert received == sent


def is_readable(of: socket.socket) -> bool:
    """Return whether there is something to read."""
    try:
        return bool(of.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK))
    except BlockingIOError:
        return False


def test_packets_sent_before_a_death_are_received_after_it():
    """An incomplete packet is discarded."""
    with pair() as (one, other):
        one.send_all(PacketType.OUTPUT, 1, b'first')
        one.send_all(PacketType.OUTPUT, 2, bytes(1000))
        one._socket.send(b'\5\0\0\0')
        one.close()
        received = other.receive(everything=True)
        assert received == [(PacketType.OUTPUT, 1, b'first'), (PacketType.OUTPUT, 2, bytes(1000))]
        assert other.closed
        assert other.receive() == []


def test_sending_to_a_dead_process_is_no_error():
    """The sender cannot know in time; the death is found by reading."""
    with pair() as (one, other):
        other.close()
        for _ in range(3):
            one.enqueue(PacketType.ITEM, 1, b'lost')
            one.flush()
            one.send_all(PacketType.ITEM, 1, bytes(LARGE))
        assert not one.has_unsent
        assert one.receive() == []
        assert one.closed


def test_a_large_packet_does_not_starve_other_channels():
    """One call of ``receive`` reads a few megabytes at most."""
    with pair() as (one, other):
        thread = threading.Thread(
            target=one.send_all, args=(PacketType.OUTPUT, 1, bytes(4 * LARGE))
        )
        thread.start()
        calls = 0
        received: list[Packet] = []
        while not received:
            received = other.receive()
            calls += 1
        thread.join()
        assert calls > 3
        assert received == [(PacketType.OUTPUT, 1, bytes(4 * LARGE))]


@pytest.mark.parametrize('length', [0, 150])
def test_a_path_may_be_longer_than_a_socket_address(tmp_path, length):
    """The length of a namespace is not limited by the kernel's socket addresses."""
    folder = tmp_path / ('x' * length)
    folder.mkdir(exist_ok=True)
    path = folder / 'socket'
    assert channels.connect(path) is None
    with channels.listen(path) as listener:
        caller = channels.connect(path)
        connection, _ = listener.accept()
        connection.close()
        caller.close()
    assert channels.connect(path) is None, 'nobody listens any more'
    channels.listen(path).close()  # replaces the socket file that is left there


@pytest.mark.parametrize(
    ('kind', 'size', 'fault'),
    [
        (PacketType.STATUS, MAX_CONTROL + 1, 'type 2 and 4,194,305 bytes; allowed: 4,194,304'),
        (PacketType.OUTPUT, 2**32 - 1, 'type 3 and 4,294,967,295 bytes; allowed: 536,870,912'),
        (PacketType.ITEM, 0, 'type 5; allowed: 2, 3, 4, 7'),
        (4_000_000_000, 0, 'type 4000000000; allowed: 2, 3, 4, 7'),
    ],
)
def test_a_packet_that_may_not_be_sent_ends_the_channel(kind, size, fault):
    """As soon as its header has arrived; what came before counts."""
    one, other = socket.socketpair()
    with one, other:
        channel = Channel(other, FROM_WORKER)
        one.sendall(HEADER.pack(1, PacketType.OUTPUT, 7) + b'x' + HEADER.pack(size, kind, 8))
        assert channel.receive() == [(PacketType.OUTPUT, 7, b'x')]
        assert channel.closed
        assert fault in channel.fault


def test_memory_is_taken_as_bytes_arrive():
    """Not as a header announces them."""
    one, other = socket.socketpair()
    with one, other:
        channel = Channel(other, FROM_WORKER)
        one.sendall(HEADER.pack(MAX_PAYLOAD, PacketType.OUTPUT, 1))
        tracemalloc.start()
        try:
            assert channel.receive() == []
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 20_000_000
        assert not channel.fault


@pytest.mark.slow
def test_a_packet_larger_than_the_first_allocation_arrives_whole():
    """Its memory grows as it arrives."""
    body = bytes(range(256)) * 200_000
    with pair() as (one, other):
        thread = threading.Thread(target=one.send_all, args=(PacketType.OUTPUT, 1, body))
        thread.start()
        assert receive_count(other, 1) == [(PacketType.OUTPUT, 1, body)]
        thread.join()
