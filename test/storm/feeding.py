"""Feeding the pipeline in a closed loop, also across the deaths of its manager."""

from __future__ import annotations

import time

from support.observing import header

from storm.outside import Outside
from storm.recording import Recorder

# So many at each tick at most: a thousand at once would be more than a busy manager takes in.
BURST = 20
GREETING_PERIOD = 0.1  # s


class Feeder:
    """Keeps at most ``window`` items fed and not yet come out.

    A new manager is greeted first: the oldest item that has not come out is sent again and again
    until the first stage's diagnostics show that it was heard. A match of endpoints would not do,
    as what is sent right after it may still go nowhere; and were the first items missed and later
    ones heard, the order would be lost out here, and not in the pipeline. Then all is sent again
    from the oldest on: what was accepted already is known by its stamp, and refused.
    """

    def __init__(
        self, outside: Outside, items: int, window: int, rate: float, recorder: Recorder
    ) -> None:
        self.items = items
        self.fed = 0  # the items fed at least once: those below
        self.greetings = 0
        self._outside = outside
        self._window = window
        self._rate = rate
        self._recorder = recorder
        self._next = 0
        self._manager: int | None = None  # the pid of the one to be fed
        self._heard_before: int | None = None
        self._greeted = False
        self._greeted_at = 0.0
        self._allowance = 0.0
        self._ticked_at = time.monotonic()

    def turn_to(self, manager: int | None) -> None:
        """Stop feeding, and begin anew with another manager once it hears us."""
        self._manager = manager
        self._greeted = False
        self._heard_before = None

    @property
    def at_work(self) -> bool:
        """Whether the manager hears us."""
        return self._greeted

    @property
    def done(self) -> bool:
        """Whether the last item has come out, and with it, as order is kept, all before it."""
        return self._outside.highest >= self.items - 1

    def tick(self) -> None:
        """Feed what may be fed now."""
        now = time.monotonic()
        self._allowance += (now - self._ticked_at) * self._rate
        self._ticked_at = now
        if not self._greeted:
            self._greet(now)
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

    def _greet(self, now: float) -> None:
        if self._manager is None or self._outside.number('manager', 'pid') != self._manager:
            return
        heard = sum(
            self._outside.number('first', key) for key in ('accepted', 'duplicates', 'refused')
        )
        if self._heard_before is None:
            if not self._outside.number('third', 'listeners'):
                return  # what came out now we should not hear
            self._heard_before = heard
        if heard > self._heard_before:
            self._greeted = True
            # Nothing below is still to be accepted: the pipeline keeps order, so it has come out.
            self._next = self._outside.highest + 1
            self._recorder.note('feeding from', number=self._next)
        elif now - self._greeted_at >= GREETING_PERIOD:
            self._greeted_at = now
            self.greetings += 1
            self._send(min(self._outside.highest + 1, self.items - 1))

    def _send(self, number: int) -> None:
        if number >= self.fed:
            self.fed = number + 1
            self._recorder.note('fed', number=number)
        self._outside.publish(header(number))
