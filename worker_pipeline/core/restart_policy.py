"""How soon a worker that ended is started again."""

from __future__ import annotations

import random
from collections import deque


class RestartPolicy:
    """The first restart is immediate; further ones within a window wait longer and longer.

    With n restarts in the last ``window`` seconds the next one waits ``base * 2 ** (n - 1)``
    seconds, at most ``backoff_max``, times a random factor from 0.5 to 1 so that workers that fell
    together do not rise together. More than ``limit`` restarts within the window make the slot
    *failing*: it keeps trying at the longest backoff. Restarts that the window has left behind are
    forgotten: a while of health makes the next restart immediate again.
    """

    BASE = 0.1

    def __init__(
        self,
        *,
        backoff_max: float,
        limit: int,
        window: float,
        random_source: random.Random | None = None,
    ) -> None:
        self.backoff_max = backoff_max
        self.limit = limit
        self.window = window
        self._random = random_source or random.Random()
        self._restarts: deque[float] = deque()

    def delay(self, now: float) -> float:
        """Book a restart that is due now; return how many seconds it should wait."""
        self._forget(now)
        recent = len(self._restarts)
        self._restarts.append(now)
        if recent == 0:
            return 0.0
        if self.failing(now):
            longest = self.backoff_max
        else:
            # The exponent is capped so that a huge limit cannot overflow a float.
            longest = min(self.backoff_max, self.BASE * 2.0 ** min(recent - 1, 60))
        return longest * self._random.uniform(0.5, 1.0)

    def failing(self, now: float) -> bool:
        """Whether there were more restarts within the window than the limit allows."""
        self._forget(now)
        return len(self._restarts) > self.limit

    def _forget(self, now: float) -> None:
        while self._restarts and now - self._restarts[0] > self.window:
            self._restarts.popleft()
