# SPDX-License-Identifier: Apache-2.0
"""Links on this machine: UDP, TCP, and a pseudo-terminal as a serial device."""

from __future__ import annotations

import contextlib
import os
import socket
import struct

import pytest
from pymavlink.dialects.v20 import common
from support.vehicles import deaf_listener

from worker_pipeline.airside.mavlink import tcp_client
from worker_pipeline.airside.mavlink.address import check_address
from worker_pipeline.airside.mavlink.link import Link, LinkLostError
from worker_pipeline.airside.mavlink.parser import MessageParser
from worker_pipeline.airside.mission.ports import free_port
from worker_pipeline.testing import wait_for

WRITER = common.MAVLink(None, srcSystem=1)


@contextlib.contextmanager
def opened(address):
    link = Link(address)
    try:
        yield link
    finally:
        link.close()


def talk(first, second):
    """Send from one link until the other receives it."""

    def received():
        first.write(b'something')
        return second.read(0.02)

    assert wait_for(received, 'what was sent')[:9] == b'something'


def frame(number):
    """Return a large message that contains a number; see ``number_of``."""
    payload = number.to_bytes(4, 'big') + bytes(246) + b'\1'
    return bytes(common.MAVLink_file_transfer_protocol_message(0, 1, 1, payload).pack(WRITER))


def number_of(message):
    return int.from_bytes(bytes(message.payload[:4]), 'big')


@contextlib.contextmanager
def blocked_peer(kind):
    """Yield a peer that reads only on demand, and its address."""
    if kind == 'serial':
        master, device = os.openpty()
        os.set_blocking(master, False)
        try:
            yield os.ttyname(device), lambda: reading(lambda: os.read(master, 4096))
        finally:
            os.close(master)
            os.close(device)
    else:
        with socket.create_server(('127.0.0.1', 0)) as listener:
            listener.settimeout(5.0)
            with contextlib.ExitStack() as stack:

                def read():
                    if not callers:
                        callers.append(stack.enter_context(listener.accept()[0]))
                        callers[0].setblocking(False)
                    return reading(lambda: callers[0].recv(1_000_000))

                callers = []
                yield f'tcp:127.0.0.1:{listener.getsockname()[1]}', read


def reading(read):
    try:
        return read()
    except BlockingIOError:
        return b''


@pytest.mark.parametrize(
    'address',
    [
        'udpin:0.0.0.0:14550',
        'udpout:autopilot.local:14550',
        'tcp:127.0.0.1:5760',
        'tcpin:0.0.0.0:65535',
        '/dev/ttyACM0',
        '/dev/ttyAMA0,921600',
        '/dev/serial/by-id/usb-Holybro_PX4-if00',
    ],
)
def test_valid_addresses_are_accepted(address):
    assert check_address(address) == address


@pytest.mark.parametrize(
    'address',
    [
        '',
        'udpin:14550',
        'udpin:127.0.0.1:0',
        'tcp:127.0.0.1:65536',
        'udp:127.0.0.1:14550',
        'tcp:127.0.0.1:port',
        'tcp:no..host:5760',
        f'tcp:{"x" * 64}:5760',
        'flight.tlog',
        '/dev/ttyACM0,fast',
        'udpin:127.0.0.1:14550 ',
    ],
)
def test_invalid_addresses_are_rejected(address):
    """The error has the value and the allowed values."""
    with pytest.raises(ValueError, match=r'^address: found .*; allowed: udpin:HOST:PORT'):
        check_address(address)


def test_the_error_names_the_key_of_the_address():
    with pytest.raises(ValueError, match=r"^connection: found 'udp:1'; allowed: udpin:HOST:PORT"):
        check_address('udp:1', 'connection')


def test_an_unknown_host_is_an_error(monkeypatch):
    def unknown(_host):
        raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')

    monkeypatch.setattr(socket, 'gethostbyname', unknown)
    with pytest.raises(OSError, match='not known'):
        Link('udpout:autopilot.local:14550')


def test_udp_works_both_ways():
    """A server answers the last sender; writing to a peer that is not there yet is harmless."""
    port = free_port()
    with opened(f'udpout:127.0.0.1:{port}') as early:
        early.write(b'to nobody')
        assert early.read(0.05) == b''
        with opened(f'udpin:127.0.0.1:{port}') as server:
            talk(early, server)
            talk(server, early)


def test_tcp_is_lost_when_the_peer_closes():
    port = free_port(socket.SOCK_STREAM)
    with pytest.raises(OSError, match='refused'):
        Link(f'tcp:127.0.0.1:{port}')
    with opened(f'tcpin:127.0.0.1:{port}') as server, opened(f'tcp:127.0.0.1:{port}') as client:
        talk(client, server)
        talk(server, client)
        client.close()
        with pytest.raises(LinkLostError):
            wait_for(lambda: server.read(0.05) and None, 'the end of the link', 5.0)
    with opened(f'tcpin:127.0.0.1:{port}') as server, opened(f'tcp:127.0.0.1:{port}') as client:
        talk(client, server)
        server.close()
        with pytest.raises(LinkLostError):
            wait_for(lambda: client.read(0.05) and None, 'the end of the link', 5.0)


def test_a_new_client_replaces_a_disconnected_one():
    """An unfinished message to the previous client is not continued."""
    port = free_port(socket.SOCK_STREAM)
    with opened(f'tcpin:127.0.0.1:{port}') as server:
        server.write(b'to nobody')
        with socket.create_connection(('127.0.0.1', port)) as first:
            first.sendall(b'first')
            assert wait_for(lambda: server.read(0.02), 'the first caller') == b'first'
            for number in range(1000):
                server.write(frame(number))
            # Reset, as by a host that has booted: unread data is lost.
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        with socket.create_connection(('127.0.0.1', port)) as second:
            second.sendall(b'second')
            wait_for(lambda: server.read(0.02) == b'second', 'the second caller')
            server.write(frame(7))
            second.settimeout(5.0)
            assert second.recv(100_000) == frame(7)


def test_a_connection_attempt_times_out(monkeypatch):
    """No process accepts, and the kernel's backlog is full: SYN is not answered."""
    monkeypatch.setattr(tcp_client, '_CONNECT_TIMEOUT', 0.1)
    with deaf_listener() as port, pytest.raises(OSError, match='timed out'):
        Link(f'tcp:127.0.0.1:{port}')


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'many'), [('tcp', 40_000), ('serial', 1000)])
def test_a_blocked_link_neither_blocks_the_writer_nor_truncates_messages(kind, many):
    """Messages that do not fit are dropped; messages that arrive are complete."""
    with blocked_peer(kind) as (address, read), opened(address) as link:
        for number in range(many):
            link.write(frame(number))
        parser = MessageParser()
        numbers = []

        def last_has_come():
            numbers.extend(map(number_of, parser.feed(read())))
            link.write(frame(many))
            return numbers and numbers[-1] == many

        wait_for(last_has_come, 'a message that was written later')
        assert parser.bad_bytes == 0
        assert numbers == sorted(numbers)
        assert len(set(numbers)) < many


def test_an_unplugged_serial_device_is_a_lost_link():
    """So is a device that does not exist."""
    with pytest.raises(OSError, match='ttyNOT'):
        Link('/dev/ttyNOT')
    autopilot, device = os.openpty()
    with opened(os.ttyname(device)) as link:
        os.close(device)
        os.write(autopilot, b'\xfdsome bytes')
        assert wait_for(lambda: link.read(0.05), 'the bytes') == b'\xfdsome bytes'
        link.write(b'\xfd\x0a\x0d')
        assert os.read(autopilot, 10) == b'\xfd\x0a\x0d'
        os.close(autopilot)
        with pytest.raises(LinkLostError):
            wait_for(lambda: link.read(0.05) and None, 'the end of the link', 5.0)
