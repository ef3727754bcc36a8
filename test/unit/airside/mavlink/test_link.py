"""Links on this machine: UDP, TCP, and a pseudo-terminal as a serial device."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
from support.vehicles import free_port

from worker_pipeline.airside.mavlink.address import check_address
from worker_pipeline.airside.mavlink.link import Link, LinkLostError
from worker_pipeline.testing import wait_for


@contextlib.contextmanager
def opened(address):
    link = Link(address)
    try:
        yield link
    finally:
        link.close()


def talk(first, second):
    """One says something until the other hears it."""

    def heard():
        first.write(b'something')
        return second.read(0.02)

    assert wait_for(heard, 'what was sent')[:9] == b'something'


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
def test_addresses_that_can_be(address):
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
        'flight.tlog',
        '/dev/ttyACM0,fast',
        'udpin:127.0.0.1:14550 ',
    ],
)
def test_addresses_that_cannot(address):
    """It is told what was found and what is allowed."""
    with pytest.raises(ValueError, match=r'^address: found .*; allowed: udpin:HOST:PORT'):
        check_address(address)


def test_udp_both_ways():
    """A server answers whoever was heard; whoever is not there yet costs nothing."""
    port = free_port()
    with opened(f'udpout:127.0.0.1:{port}') as early:
        early.write(b'to nobody')
        assert early.read(0.05) == b''
        with opened(f'udpin:127.0.0.1:{port}') as server:
            talk(early, server)
            talk(server, early)


def test_tcp_is_lost_when_the_other_side_closes():
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


def test_a_serial_device_that_is_unplugged():
    """And one that is not there."""
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
