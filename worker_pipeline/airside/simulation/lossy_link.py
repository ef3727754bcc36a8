# SPDX-License-Identifier: Apache-2.0
"""A link that delays and loses messages."""

from __future__ import annotations

from collections import deque

import attrs
import numpy as np

SECONDS = 1_000_000_000


@attrs.frozen
class LinkQuality:
    """The quality of a link. By default a serial line or a network on board.

    ``latency``: s, minimum. ``jitter``: s, mean of the additional delay, which is exponential.
    ``loss``: the share of messages lost. ``dropouts``: number per minute, each of which loses
    everything for ``dropout_time`` s on average.
    """

    latency: float = 0.004
    jitter: float = 0.002
    loss: float = 0.001
    dropouts: float = 0.0
    dropout_time: float = 1.0


class LossyLink:
    """One direction of a link. Messages are not reordered. Times are in ns."""

    def __init__(self, quality: LinkQuality, random: np.random.Generator) -> None:
        self._quality = quality
        self._random = random
        self._under_way: deque[tuple[int, bytes]] = deque()
        self._out_until = 0
        self._next_dropout: int | None = None

    def send(self, data: bytes, now: int) -> None:
        """Send a message."""
        if self._is_out(now) or self._random.random() < self._quality.loss:
            return
        late = self._quality.latency + self._random.exponential(self._quality.jitter)
        due = now + round(late * SECONDS)
        if self._under_way:
            due = max(due, self._under_way[-1][0])
        self._under_way.append((due, data))

    def arrived(self, now: int) -> list[bytes]:
        """Return the messages that have arrived by now."""
        come = []
        while self._under_way and self._under_way[0][0] <= now:
            come.append(self._under_way.popleft()[1])
        return come

    @property
    def next_arrival(self) -> int | None:
        """Return the arrival of the next message; None if none is in flight."""
        return self._under_way[0][0] if self._under_way else None

    def _is_out(self, now: int) -> bool:
        if self._quality.dropouts <= 0:
            return False
        if self._next_dropout is None or now >= self._next_dropout:
            if self._next_dropout is not None:
                self._out_until = now + self._drawn(self._quality.dropout_time)
            self._next_dropout = max(now, self._out_until) + self._drawn(
                60.0 / self._quality.dropouts
            )
        return now < self._out_until

    def _drawn(self, mean: float) -> int:
        return round(self._random.exponential(mean) * SECONDS)
