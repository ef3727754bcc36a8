# SPDX-License-Identifier: Apache-2.0
"""The frames of a storm, with pixels computed from an item's number, so they can be checked.

As 64-bit numbers, the pixels are a fixed pattern plus a key made from the item's number and the
stage that made the frame, so every byte differs from that of any other frame. The first two words
are the number and a checksum of the rest. The checksum is a sum with odd weights, which detects any
change of one word and any exchange of two; it takes a third of the time of CRC-32.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image
from std_msgs.msg import Header

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 1920, 1200  # px
STEP = WIDTH * 3  # bytes; bgr8
_WORD = 8  # bytes
_HEAD = 2  # words: the number and the checksum


class Frames:
    """Makes and checks frames of ``height`` rows."""

    def __init__(self, height: int = HEIGHT) -> None:
        self._height = height
        count = height * STEP // _WORD
        pattern = np.random.default_rng(height).integers(0, 2**64, count, np.uint64)
        self._weights: Words = pattern[_HEAD:] | np.uint64(1)
        self._sum = int(self._weights.sum())
        self._sum_of_squares = int(np.dot(self._weights, self._weights))
        # Written again and again: sending a message copies it.
        self._place: Bytes = np.zeros(height * STEP, np.uint8)

    @property
    def size(self) -> int:
        """Return the size of a frame, in bytes."""
        return self._place.nbytes

    def make(self, header: Header, number: int, maker: str, place: Bytes | None = None) -> Image:
        """Return an image.

        Args:
            header: of the image.
            number: of its item.
            maker: the stage that makes it.
            place: an array of ``size`` bytes for its data; without one, the next call overwrites
                the data.
        """
        data = self._place if place is None else place
        words = data.view(np.uint64)
        np.add(self._weights, np.uint64(_key(number, maker)), out=words[_HEAD:])
        words[0], words[1] = number, self._checksum(words)
        image = Image(height=self._height, width=WIDTH, encoding='bgr8', step=STEP)
        image.header = header
        image._data = data.data
        return image

    def fault(self, data: Any, number: int, maker: str) -> str:
        """Return the error in the bytes of a frame, '' if nothing."""
        words: Words = np.frombuffer(data, np.uint8).view(np.uint64)
        if words.nbytes != self.size:
            return f'found {words.nbytes} bytes; expected {self.size}'
        found, stored = int(words[0]), int(words[1])
        computed = self._checksum(words)
        expected = (self._sum_of_squares + _key(number, maker) * self._sum) % 2**64
        if (found, stored, computed) == (number, expected, expected):
            return ''
        return (
            f'item {number}: found number {found} and checksum {stored:x} on pixels with '
            f'{computed:x}; expected {expected:x}'
        )

    def _checksum(self, words: Words) -> int:
        return int(np.dot(words[_HEAD:], self._weights))


def _key(number: int, maker: str) -> int:
    """Return the number that is added to the pattern."""
    return int.from_bytes(
        hashlib.blake2b(f'{maker} {number}'.encode(), digest_size=8).digest(), 'little'
    )
