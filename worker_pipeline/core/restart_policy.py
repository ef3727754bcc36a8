"""How soon a worker that ended is started again."""

from __future__ import annotations

import random
from collections import deque


class RestartPolicy:
    """The first restart is immediate; further ones within a window wait longer and longer.

    With n restarts in the last ``window`` seconds the next one waits ``base * 2 ** (n - 1)``
    seconds, at most ``backoff_max``, times a random factor from 0.5 to 1 so that workers that fell
    together do not rise together. More than ``limit`` restarts within the window make the slot
    *failing*: it keeps trying at the longest backoff.

    The window counts health only, from :meth:`went_up` to :meth:`went_down`. By wall time a slot's
    own long waits and long start-ups would make it forget what it waits for. So a restart is
    forgotten after ``window`` seconds of health in all, and while the slot is down nothing is.
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
        self._health = 0.0  # seconds of it in all, without the present one
        self._up_since: float | None = None
        self._restarts: deque[float] = deque()  # how much health there had been at each

    def went_up(self, now: float) -> None:
        """The worker became ready; said again, it changes nothing."""
        if self._up_since is None:
            self._up_since = now

    def went_down(self, now: float) -> None:
        """The worker is ready no longer; said again, it changes nothing."""
        self._health = self._health_at(now)
        self._up_since = None

    def delay(self, now: float) -> float:
        """Book a restart that is due now; return how many seconds it should wait."""
        self._forget(now)
        recent = len(self._restarts)
        self._restarts.append(self._health_at(now))
        if recent == 0:
            return 0.0
        if self.failing(now):
            longest = self.backoff_max
        else:
            # The exponent is capped so that a huge limit cannot overflow a float.
            longest = min(self.backoff_max, self.BASE * 2.0 ** min(recent - 1, 60))
        return longest * self._random.uniform(0.5, 1.0)

    def pardon(self, now: float) -> None:
        """Take the restart booked last back: it was not the slot's fault."""
        self._forget(now)
        if self._restarts:
            self._restarts.pop()

    def failing(self, now: float) -> bool:
        """Whether there were more restarts within the window than the limit allows."""
        self._forget(now)
        return len(self._restarts) > self.limit

    def _health_at(self, now: float) -> float:
        return self._health + (0.0 if self._up_since is None else now - self._up_since)

    def _forget(self, now: float) -> None:
        health = self._health_at(now)
        while self._restarts and health - self._restarts[0] > self.window:
            self._restarts.popleft()
