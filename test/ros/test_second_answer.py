# SPDX-License-Identifier: Apache-2.0
"""A new participant discovers nodes with default settings at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
import rclpy
from support.manager_process import python_path

from worker_pipeline.ros.rtps import discovery_port
from worker_pipeline.ros.second_answer import ask_for_second_answer

# Nodes with default settings announce themselves only to numbers below 32.
NUMBER = 100
INFO_DESTINATION, DATA = 0x0E, 0x15
ANNOUNCEMENT_WRITER = b'\x00\x01\x00\xc2'
# Announced each 3 s, an old node would be known by then in a third of all cases.
TIMEOUT = 1.0
COUNT = 12


@pytest.fixture
def port(domain):
    """The socket of a participant with ``NUMBER``, as far as others can see."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(('127.0.0.1', discovery_port(domain, NUMBER)))
        receiver.settimeout(10.0)
        yield receiver


def submessages(packet: bytes) -> list[tuple[int, bytes]]:
    """Return the kinds and the contents of an RTPS message's submessages."""
    assert packet.startswith(b'RTPS')
    found, offset = [], 20
    while offset < len(packet):
        size = int.from_bytes(packet[offset + 2 : offset + 4], 'little')
        found.append((packet[offset], packet[offset + 4 : offset + 4 + size]))
        offset += 4 + size
    return found


def test_a_node_answers_at_the_port_of_the_new_participant(domain, port):
    """The new participant takes the answer for its own."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node('old', context=context)
    try:
        ask_for_second_answer(domain, NUMBER)
        found = submessages(port.recv(65536))
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert INFO_DESTINATION not in [kind for kind, _ in found]
    [data] = [content for kind, content in found if kind == DATA]
    assert data[8:12] == ANNOUNCEMENT_WRITER


def test_new_participants_discover_old_ones_within_a_second(domain):
    """Their first answers may be lost: Fast DDS 3.2.3 announces before it can receive."""
    environment = {
        **os.environ,
        'PYTHONPATH': python_path(),
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    command = [sys.executable, '-m', 'support.new_participants', str(COUNT), str(TIMEOUT)]
    done = subprocess.run(
        command, env=environment, timeout=120, check=True, text=True, capture_output=True
    )
    assert done.stdout.split() == ['0'] * COUNT, done.stderr
