# SPDX-License-Identifier: Apache-2.0
"""Decides whether the messages of an input are handled one by one or in turns of bounded length."""

from __future__ import annotations

# Messages between two looks, which are 50 ms apart: from then on they are handled in turns.
MANY = 500
# Below this rate they are handled one by one again, messages/s ...
CALM_RATE = 5000.0
# ... once it was that low for so long, s.
CALM_TIME = 1.0


class MessageRate:
    """Counts the messages of an input."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew, message by message."""
        self.in_turns = False
        self._has_begun = False  # since the last look
        self._count = 0  # since the last look
        self._looked_at = float('-inf')  # s
        self._busy_at = float('-inf')  # when the rate was last high, s

    def count(self) -> bool:
        """Count a message that is handled by itself; return whether turns begin with it."""
        self._count += 1
        if self._count < MANY or self.in_turns:
            return False
        self.in_turns = self._has_begun = True
        return True

    def count_turn(self, messages: int) -> None:
        """Count the messages of a turn."""
        self._count += messages

    def look(self, now: float) -> bool:
        """Note the rate since the last look; return whether turns end. ``now``: s."""
        if self._has_begun or self._count >= CALM_RATE * (now - self._looked_at):
            self._busy_at = now
        self._count, self._looked_at, self._has_begun = 0, now, False
        if not self.in_turns or now - self._busy_at < CALM_TIME:
            return False
        self.in_turns = False
        return True
