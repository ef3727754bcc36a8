# SPDX-License-Identifier: Apache-2.0
"""Callers at the manager's socket who send anything but what they should.

As a program: ``python -m support.socket_fuzz SOCKET SEED COUNT`` calls from a process that is no
worker.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from worker_pipeline.protocol.channel import HEADER, PacketType

# Silent ones stay connected; this many at most.
MAX_OPEN = 200


class Fuzz:
    """Calls again and again.

    Args:
        path: The socket.
        seed: Of the random choices.
        name: The stage and the slot that some hellos claim.
    """

    def __init__(self, path: Path, seed: int, name: tuple[str, str] = ('echo', 'worker_0')) -> None:
        self._path = path
        self._random = random.Random(seed)
        self._name = name
        self._open: list[socket.socket] = []
        self.refused = 0  # connections that were not accepted
        self._kinds: list[Callable[[], bytes]] = [
            self._random_bytes,
            self._huge_header,
            self._half_hello,
            self._silence,
            self._false_hello,
            self._malformed_hello,
            self._packets_without_hello,
        ]

    def call(self, count: int) -> None:
        """Connect so many times, and send something each time."""
        for _ in range(count):
            self._call_once()

    def _call_once(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(5.0)
        try:
            connection.connect(str(self._path))
            connection.settimeout(0.0)
            with contextlib.suppress(OSError):  # hung up on, or its buffer is full
                connection.send(self._random.choice(self._kinds)())
        except OSError:
            self.refused += 1
            connection.close()
            return
        if self._random.random() < 0.5:
            connection.close()
            return
        self._open.append(connection)
        while len(self._open) > MAX_OPEN:
            self._open.pop(0).close()

    def close(self) -> None:
        """Hang up everywhere."""
        while self._open:
            self._open.pop().close()

    # -- what is sent ----------------------------------------------------------------------------

    def _random_bytes(self) -> bytes:
        return self._random.randbytes(self._random.randrange(1, 4000))

    def _huge_header(self) -> bytes:
        size = self._random.choice([2**31, 2**32 - 1, 2**29, 2**24, 65_537])
        kind = self._random.choice([PacketType.HELLO, PacketType.OUTPUT, 2**32 - 1])
        return HEADER.pack(size, kind, 0) + self._random.randbytes(self._random.randrange(2000))

    def _half_hello(self) -> bytes:
        hello = self._false_hello()
        return hello[: self._random.randrange(len(hello))]

    def _silence(self) -> bytes:
        return b''

    def _false_hello(self) -> bytes:
        body = json.dumps([*self._name, [1, 2, 3]]).encode()
        return HEADER.pack(len(body), PacketType.HELLO, 0) + body

    def _malformed_hello(self) -> bytes:
        bodies = [
            b'',
            b'[',
            b'[' * 60_000,
            b'{}',
            b'["a", "b", {}]',
            json.dumps(['x' * 30_000, None, [True]]).encode(),
            b'\xe9\0\0\0\0' + self._random.randbytes(20),
            self._random.randbytes(60_000),
        ]
        body = self._random.choice(bodies)
        return HEADER.pack(len(body), PacketType.HELLO, 0) + body

    def _packets_without_hello(self) -> bytes:
        kind = self._random.choice([PacketType.OUTPUT, PacketType.STATUS, PacketType.OUTCOME])
        return struct.pack('<IIQ', 5, kind, 1) + b'12345'


if __name__ == '__main__':
    path, seed, count = sys.argv[1:]
    fuzz = Fuzz(Path(path), int(seed))
    fuzz.call(int(count))
    fuzz.close()
    print(f'{fuzz.refused} not accepted', flush=True)
