# SPDX-License-Identifier: Apache-2.0
"""Payloads of simulated pipelines, and the frame memory that they refer to.

A payload is a string ``identity@stamp#frame``. The identity names the payload's sources:
``b(a(x3))`` is stage b's output for stage a's output for the item x3. The frame is a number, or
missing where the payload is complete in itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain


def make_payload(identity: str, stamp: int, frame: int | None = None) -> str:
    return f'{identity}@{stamp}#{"" if frame is None else frame}'


def identity_of(payload: str) -> str:
    return payload.partition('@')[0]


def stamp_of(payload: str) -> int:
    return int(payload.partition('@')[2].partition('#')[0])


def frame_of(payload: str) -> int | None:
    frame = payload.partition('#')[2]
    return int(frame) if frame else None


class CountedFrames:
    """Frame memory that counts which frames payloads refer to.

    Args:
        limit: bytes; 0: there is none.
        payloads: returns all payloads that exist in the manager.
        unknown: returns the outputs of living workers that the manager does not know yet.
    """

    def __init__(
        self,
        limit: int,
        payloads: Callable[[], Iterable[str | None]],
        unknown: Callable[[], Iterable[str]],
    ) -> None:
        self.limit = limit
        self._payloads = payloads
        self._unknown = unknown
        self._sizes: dict[int, int] = {}
        self._last_frame = 0

    def allocate(self, size: int) -> int | None:
        """Return a new frame; None where the memory has no room for it."""
        if self.taken + size > self.limit:
            return None
        self._last_frame += 1
        self._sizes[self._last_frame] = size
        return self._last_frame

    @property
    def taken(self) -> int:
        """Return the bytes of all frames."""
        return sum(self._sizes.values())

    @property
    def needed(self) -> int:
        """Return the bytes of the frames that payloads refer to."""
        return self.bytes_of(self._payloads())

    def bytes_of(self, payloads: Iterable[str | None]) -> int:
        """Return the bytes of the frames that some payloads refer to."""
        referenced = self._referenced_by(payloads)
        return sum(size for frame, size in self._sizes.items() if frame in referenced)

    def frame_of(self, payload: str | None) -> int | None:
        """Return the frame that a payload refers to; None if it has none here."""
        frame = frame_of(payload) if payload else None
        return frame if frame in self._sizes else None

    @staticmethod
    def _referenced_by(payloads: Iterable[str | None]) -> set[int | None]:
        return {frame_of(payload) for payload in payloads if payload is not None}

    def release_unreferenced(self) -> bool:
        """Free the frames that no payload refers to. Returns whether there were any.

        The frame of an output that the manager does not know yet stays.
        """
        if not self._sizes:
            return False
        referenced = self._referenced_by(chain(self._payloads(), self._unknown()))
        released = [frame for frame in self._sizes if frame not in referenced]
        for frame in released:
            del self._sizes[frame]
        return bool(released)

    def has(self, frame: int) -> bool:
        return frame in self._sizes
