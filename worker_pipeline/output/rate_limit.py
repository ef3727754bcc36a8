# SPDX-License-Identifier: Apache-2.0
"""The limit of a worker's output: so many lines and bytes per second, and a reserve for bursts."""

from __future__ import annotations

LINES_PER_SECOND = 1000.0
BYTES_PER_SECOND = 256_000.0
# What may be printed at once after a silence, in seconds of the rates above.
BURST = 4.0


class RateLimit:
    """Admits lines up to a rate, and counts those that it does not admit (token bucket).

    Args:
        lines: The rate in lines per second.
        size: The rate in bytes per second.
        burst: How much may come at once, in seconds of these rates.
    """

    def __init__(
        self, lines: float = LINES_PER_SECOND, size: float = BYTES_PER_SECOND, burst: float = BURST
    ) -> None:
        self.dropped = 0  # lines
        self._rates = lines, size
        self._burst = burst
        self._lines_left = lines * burst
        self._bytes_left = size * burst
        self._at: float | None = None  # s

    @property
    def has_room(self) -> bool:
        """Return whether the next line is admitted, whatever its size."""
        return self._lines_left >= 1.0 and self._bytes_left > 0.0

    def refill(self, now: float) -> None:
        """Count the time that has passed. ``now``: s."""
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        lines, size = self._rates
        self._lines_left = min(lines * self._burst, self._lines_left + lines * passed)
        self._bytes_left = min(size * self._burst, self._bytes_left + size * passed)

    def admits(self, size: int) -> bool:
        """Return whether a line of ``size`` bytes is admitted; it is counted either way."""
        if self._lines_left < 1.0 or self._bytes_left <= 0.0:
            self.dropped += 1
            return False
        self._lines_left -= 1.0
        self._bytes_left -= size
        return True

    def drop(self, lines: int) -> None:
        """Count lines that are not admitted."""
        self.dropped += lines
