# SPDX-License-Identifier: Apache-2.0
"""Decides which of many equal log lines are written: one a second for each cause."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

PERIOD = 1.0  # s


class Withheld(NamedTuple):
    """What was not logged of one cause, to be told in one line."""

    detail: Any  # of the last one
    more: int  # how many there were besides


class LogThrottle:
    """Counts events by cause. The first is logged at once, what follows once a ``PERIOD``.

    It is asked for each message of a flood, so it does no more than count.
    """

    def __init__(self) -> None:
        self._last: dict[Hashable, float] = {}  # when a line was written, s
        self._withheld: dict[Hashable, Withheld] = {}

    def note(self, cause: Hashable, detail: Any, now: float) -> bool:
        """Count an event; return whether to log it now. Otherwise ``due`` returns it later.

        Args:
            cause: what kind of event it is: one of a few.
            detail: what a line about it would tell.
            now: s.
        """
        withheld = self._withheld.get(cause)
        if withheld is not None:
            self._withheld[cause] = Withheld(detail, withheld.more + 1)
            return False
        if now - self._last.get(cause, float('-inf')) < PERIOD:
            self._withheld[cause] = Withheld(detail, 0)
            return False
        self._last[cause] = now
        return True

    def due(self, now: float) -> list[tuple[Hashable, Withheld]]:
        """Return, by cause, what has been withheld for long enough and is to be logged now."""
        if not self._withheld:
            return []
        # A copy: another thread may note an event meanwhile.
        causes = [cause for cause in list(self._withheld) if now - self._last[cause] >= PERIOD]
        for cause in causes:
            self._last[cause] = now
        return [(cause, self._withheld.pop(cause)) for cause in causes]
