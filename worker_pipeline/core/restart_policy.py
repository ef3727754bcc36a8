# SPDX-License-Identifier: Apache-2.0
"""The delay before a slot's next restart."""

from __future__ import annotations

import random
from collections import deque


class RestartPolicy:
    """Exponential backoff with jitter, over a window of healthy time.

    The first restart is immediate. With n restarts in the last ``window`` seconds the next one is
    delayed by ``BASE * 2 ** (n - 1)`` seconds, at most ``backoff_max``, times a random factor from
    0.5 to 1, so that workers that died together do not restart together. With more than ``limit``
    restarts within the window the slot is *failing*: it keeps trying at the longest delay.

    The delay is for workers that die before they did anything. Where nobody else does the work, one
    that was healthy for ``WORKED`` seconds is restarted at once, so at most so often.

    The window counts healthy time only, from :meth:`went_up` to :meth:`went_down`. By wall time,
    a slot's own long delays and start-ups would outlast the window and reset its backoff.

    Args:
        backoff_max: the longest delay, s.
        limit: how many restarts within the window are not failing yet.
        window: s.
        random_source: of the random factors; a new one if not given.
    """

    BASE = 0.1
    WORKED = 1.0  # s

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
        self._healthy = 0.0  # s, without the present period
        self._up_since: float | None = None
        self._last_period = 0.0  # the length of the last healthy period that has ended, s
        self._restarts: deque[float] = deque()  # the healthy time at each

    def went_up(self, now: float) -> None:
        """Start a healthy period, unless there is one: the worker has become ready."""
        if self._up_since is None:
            self._up_since = now

    def went_down(self, now: float) -> None:
        """End the healthy period, if there is one: the worker is not ready any more."""
        if self._up_since is not None:
            self._last_period = now - self._up_since
        self._healthy = self._healthy_at(now)
        self._up_since = None

    def delay(self, now: float, *, is_last: bool = False) -> float:
        """Count a restart, and return its delay, s.

        Args:
            now: s.
            is_last: whether nobody else does the work meanwhile.
        """
        self._forget(now)
        recent = len(self._restarts)
        self._restarts.append(self._healthy_at(now))
        if recent == 0 or (is_last and self._last_period >= self.WORKED):
            return 0.0
        if self.failing(now):
            longest = self.backoff_max
        else:
            # The exponent is capped so that a huge limit cannot overflow a float.
            longest = min(self.backoff_max, self.BASE * 2.0 ** min(recent - 1, 60))
        return longest * self._random.uniform(0.5, 1.0)

    def refund(self, now: float) -> None:
        """Refund the last restart: its cause was not the worker."""
        self._forget(now)
        if self._restarts:
            self._restarts.pop()

    def failing(self, now: float) -> bool:
        """Return whether there were more restarts within the window than ``limit``."""
        self._forget(now)
        return len(self._restarts) > self.limit

    def _healthy_at(self, now: float) -> float:
        return self._healthy + (0.0 if self._up_since is None else now - self._up_since)

    def _forget(self, now: float) -> None:
        healthy = self._healthy_at(now)
        while self._restarts and healthy - self._restarts[0] > self.window:
            self._restarts.popleft()
