# SPDX-License-Identifier: Apache-2.0
"""Ports and announcements of participants in RTPS 2.3, the wire protocol of DDS."""

from __future__ import annotations

import struct

# Table 9.8: the ports of a domain, and of a participant by its number.
_PORT_BASE, _DOMAIN_GAIN, _PARTICIPANT_GAIN = 7400, 250, 2
_MULTICAST_OFFSET, _DISCOVERY_OFFSET, _USER_OFFSET = 0, 10, 11

PREFIX_SIZE = 12  # bytes of a GUID that name its participant

_VERSION, _UNKNOWN_VENDOR = b'\x02\x03', b'\x00\x00'
_PARTICIPANT = b'\x00\x00\x01\xc1'
_ANNOUNCEMENT_READER, _ANNOUNCEMENT_WRITER = b'\x00\x01\x00\xc7', b'\x00\x01\x00\xc2'
_LITTLE_ENDIAN, _HAS_DATA = 0x01, 0x04
_PL_CDR_LE = b'\x00\x03\x00\x00'
_DATA = 0x15
_UDP_V4 = 1
_HEARS_ANNOUNCEMENTS = 0x02  # and has no other built-in endpoint
# Parameters of an announcement.
_PROTOCOL_VERSION, _VENDOR, _GUID, _DISCOVERY_ADDRESS = 0x0015, 0x0016, 0x0050, 0x0032
_BUILT_IN_ENDPOINTS, _LEASE, _SENTINEL = 0x0058, 0x0002, 0x0001


def multicast_port(domain: int) -> int:
    """Return the UDP port at which the participants of a domain receive multicast discovery."""
    return _PORT_BASE + _DOMAIN_GAIN * domain + _MULTICAST_OFFSET


def discovery_port(domain: int, number: int) -> int:
    """Return the UDP port at which a participant receives announcements of others."""
    return _PORT_BASE + _DOMAIN_GAIN * domain + _DISCOVERY_OFFSET + _PARTICIPANT_GAIN * number


def user_port(domain: int, number: int) -> int:
    """Return the UDP port at which a participant receives user data."""
    return _PORT_BASE + _DOMAIN_GAIN * domain + _USER_OFFSET + _PARTICIPANT_GAIN * number


def announcement(prefix: bytes, port: int, lease: int) -> bytes:
    """Return the message that announces a participant without any endpoint.

    Args:
        prefix: Its GUID's first ``PREFIX_SIZE`` bytes.
        port: The UDP port of 127.0.0.1 at which others are to announce themselves to it.
        lease: For how long it counts as alive, s.
    """
    address = struct.pack('<iI12s4s', _UDP_V4, port, b'', bytes((127, 0, 0, 1)))
    payload = _PL_CDR_LE + b''.join(
        (
            _parameter(_PROTOCOL_VERSION, _VERSION + b'\x00\x00'),
            _parameter(_VENDOR, _UNKNOWN_VENDOR + b'\x00\x00'),
            _parameter(_GUID, prefix + _PARTICIPANT),
            _parameter(_DISCOVERY_ADDRESS, address),
            _parameter(_BUILT_IN_ENDPOINTS, struct.pack('<I', _HEARS_ANNOUNCEMENTS)),
            _parameter(_LEASE, struct.pack('<iI', lease, 0)),
            _parameter(_SENTINEL),
        )
    )
    # No flags of later versions, 16 bytes to the payload, and the first message of its writer.
    head = struct.pack('<HH4s4siI', 0, 16, _ANNOUNCEMENT_READER, _ANNOUNCEMENT_WRITER, 0, 1)
    submessage = struct.pack('<BBH', _DATA, _LITTLE_ENDIAN | _HAS_DATA, len(head) + len(payload))
    return b'RTPS' + _VERSION + _UNKNOWN_VENDOR + prefix + submessage + head + payload


def _parameter(kind: int, value: bytes = b'') -> bytes:
    return struct.pack('<HH', kind, len(value)) + value
