# SPDX-License-Identifier: Apache-2.0
"""Addresses of MAVLink links, in pymavlink's notation."""

from __future__ import annotations

import re

ALLOWED = (
    'udpin:HOST:PORT, udpout:HOST:PORT, tcp:HOST:PORT, tcpin:HOST:PORT, '
    'or a serial device such as /dev/ttyACM0 or /dev/ttyAMA0,921600'
)

_NETWORK = re.compile(r'(udpin|udpout|tcp|tcpin):([^:/\s]+):(\d{1,5})')
_SERIAL = re.compile(r'/[^,\s]+(,[1-9]\d{2,7})?')


def check_address(address: str, key: str = 'address') -> str:
    """Return an address. Raises ValueError, which names its key, if its kind is not allowed.

    pymavlink accepts more: log files, and programs to run.
    """
    network = _NETWORK.fullmatch(address)
    if network is not None and _can_be_a_host(network[2]) and 0 < int(network[3]) < 65536:
        return address
    if _SERIAL.fullmatch(address):
        return address
    raise ValueError(f'{key}: found {address!r}; allowed: {ALLOWED}')


def _can_be_a_host(name: str) -> bool:
    try:
        name.encode('idna')
    except UnicodeError:
        return False
    return True
