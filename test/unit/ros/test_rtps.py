# SPDX-License-Identifier: Apache-2.0
"""Ports and announcements of RTPS."""

from __future__ import annotations

import pytest

from worker_pipeline.ros.rtps import announcement, discovery_port, multicast_port, user_port

PREFIX = bytes(range(12))


@pytest.mark.parametrize(
    ('domain', 'number', 'discovery', 'user'),
    [(0, 0, 7410, 7411), (0, 119, 7648, 7649), (42, 1, 17912, 17913), (232, 0, 65410, 65411)],
)
def test_ports_follow_from_domain_and_number(domain, number, discovery, user):
    """The figures of ROS 2's documentation on domain ids."""
    assert (discovery_port(domain, number), user_port(domain, number)) == (discovery, user)


def test_multicast_has_one_port_for_each_domain():
    assert [multicast_port(domain) for domain in (0, 42)] == [7400, 17900]


def parameters_of(message: bytes) -> dict[int, bytes]:
    """Return the values of an announcement's parameters, after a check of all that is before."""
    assert message[:4] == b'RTPS'
    assert message[8:20] == PREFIX
    kind, flags = message[20], message[21]
    assert (kind, flags & 1) == (0x15, 1)  # data, little-endian
    assert int.from_bytes(message[22:24], 'little') == len(message) - 24
    offset = 28 + int.from_bytes(message[26:28], 'little')  # counted from behind this field
    assert message[offset : offset + 4] == b'\x00\x03\x00\x00'
    offset += 4
    found = {}
    while True:
        kind, size = (int.from_bytes(message[offset + at :][:2], 'little') for at in (0, 2))
        if kind == 1:
            assert offset + 4 == len(message)
            return found
        assert size % 4 == 0
        found[kind] = message[offset + 4 : offset + 4 + size]
        offset += 4 + size


def test_an_announcement_names_a_participant_its_port_and_its_lease():
    found = parameters_of(announcement(PREFIX, 0x1234, 7))
    assert found[0x50] == PREFIX + b'\x00\x00\x01\xc1'
    kind, port = (int.from_bytes(found[0x32][at:][:4], 'little') for at in (0, 4))
    assert (kind, port, found[0x32][8:]) == (1, 0x1234, bytes(12) + bytes([127, 0, 0, 1]))
    assert found[0x02] == bytes([7, 0, 0, 0, 0, 0, 0, 0])
    # It only listens to announcements: nobody is to match endpoints with it.
    assert int.from_bytes(found[0x58], 'little') == 2
