# SPDX-License-Identifier: Apache-2.0
"""Packets with file descriptors."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from worker_pipeline.system.descriptor_passing import receive_packet, send_packet


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    found = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield found
    for each in found:
        each.close()


def test_descriptors_arrive_with_their_packet_and_are_not_inherited(pair):
    """A program that is started later does not have them."""
    read, write = os.pipe()
    send_packet(pair[0], b'both', [read, write])
    send_packet(pair[0], b'none')
    data, found = receive_packet(pair[1], 64, 4)
    assert (data, len(found)) == (b'both', 2)
    assert not any(os.get_inheritable(each) for each in found)
    os.write(found[1], b'x')
    assert os.read(read, 1) == b'x'
    for each in (read, write, *found):
        os.close(each)
    assert receive_packet(pair[1], 64, 4) == (b'none', [])


def test_nothing_waits(pair):
    """Neither for a packet, nor for room, although the sockets block."""
    with pytest.raises(BlockingIOError):
        receive_packet(pair[1], 64, 4)

    def fill() -> None:
        for _ in range(100_000):
            send_packet(pair[0], b'x' * 100)

    with pytest.raises(BlockingIOError):
        fill()


def test_the_end_is_an_empty_packet_and_then_an_error(pair):
    """As of a socket."""
    pair[0].close()
    assert receive_packet(pair[1], 64, 4) == (b'', [])
    with pytest.raises(OSError, match='Broken pipe'):
        send_packet(pair[1], b'x')
