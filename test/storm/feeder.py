# SPDX-License-Identifier: Apache-2.0
"""Feeds the pipeline in a closed loop, also across the deaths of its manager."""

from __future__ import annotations

import time

from support.observer import header

from storm.external_node import ExternalNode
from storm.recorder import Recorder

# Items per tick at most: a busy manager does not take in a thousand at once.
BURST = 20
PROBE_PERIOD = 0.1  # s


class Feeder:
    """Keeps up to ``window`` items in the pipeline.

    A new manager is probed first: the oldest item that has not come out is sent again and again
    until the first stage's diagnostics show that it was received. Matched endpoints do not suffice,
    as messages right after the match may still be lost, and a loss of the first items only would
    change the order outside the pipeline. Then all items are sent again from the oldest on; the
    stage rejects those that it has accepted before by their stamps.
    """

    def __init__(
        self, external: ExternalNode, items: int, window: int, rate: float, recorder: Recorder
    ) -> None:
        self.items = items
        self.fed = 0  # the items below this number have been fed at least once
        self.probes = 0
        self._outside = external
        self._window = window
        self._rate = rate
        self._recorder = recorder
        self._next = 0
        self._manager: int | None = None  # the pid of the manager to feed
        self._received_before: int | None = None
        self._connected = False
        self._probed_at = 0.0
        self._allowance = 0.0
        self._ticked_at = time.monotonic()

    def switch_to(self, manager: int | None) -> None:
        """Stop feeding, and continue with another manager as soon as it receives items."""
        self._manager = manager
        self._connected = False
        self._received_before = None

    @property
    def is_connected(self) -> bool:
        """Return whether the manager receives items."""
        return self._connected

    @property
    def done(self) -> bool:
        """Return whether the last item has come out; as the order is kept, all others have, too."""
        return self._outside.highest >= self.items - 1

    def tick(self) -> None:
        """Feed the items that may be fed now."""
        now = time.monotonic()
        self._allowance += (now - self._ticked_at) * self._rate
        self._ticked_at = now
        if not self._connected:
            self._probe(now)
            return
        oldest = self._outside.highest + 1
        self._next = max(self._next, oldest)
        end = min(self.items, oldest + self._window, self._next + BURST)
        while self._next < end:
            if self._rate and self._next >= self.fed:
                if self._allowance < 1.0:
                    break
                self._allowance -= 1.0
            self._send(self._next)
            self._next += 1
        self._allowance = min(self._allowance, float(BURST))

    def _probe(self, now: float) -> None:
        if self._manager is None or self._outside.number('manager', 'pid') != self._manager:
            return
        received = sum(
            self._outside.number('first', key) for key in ('accepted', 'duplicates', 'refused')
        )
        if self._received_before is None:
            if not self._outside.number('third', 'listeners'):
                return  # outputs of now would not be received
            self._received_before = received
        if received > self._received_before:
            self._connected = True
            # The pipeline keeps the order, so all items below have come out.
            self._next = self._outside.highest + 1
            self._recorder.record('feeding from', number=self._next)
        elif now - self._probed_at >= PROBE_PERIOD:
            self._probed_at = now
            self.probes += 1
            self._send(min(self._outside.highest + 1, self.items - 1))

    def _send(self, number: int) -> None:
        if number >= self.fed:
            self.fed = number + 1
            self._recorder.record('fed', number=number)
        self._outside.publish(header(number))
