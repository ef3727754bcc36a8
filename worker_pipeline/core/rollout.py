# SPDX-License-Identifier: Apache-2.0
"""Whether changed settings are in effect, and what is done if no worker can start with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# A worker that cannot start three times in a row will not start with these settings.
FAILED_STARTS = 3


class Rollout:
    """The settings of a stage that take effect with new workers, by name.

    ``in_effect`` are those that every worker has; ``wanted`` those that it is to have.

    Args:
        settings: those that hold in the beginning.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.in_effect = dict(settings)
        self.wanted = dict(settings)
        self.failure = ''  # why the last change is not in effect
        self.since = 0.0  # when the change under way began, s
        self.ended = 0  # how many changes are in effect, or were given up

    @property
    def is_under_way(self) -> bool:
        """Return whether some workers still have to be replaced for a change."""
        return self.wanted != self.in_effect

    @property
    def changes(self) -> str:
        """Return the change under way: names and values."""
        return ', '.join(
            f'{name}: {value!r}'
            for name, value in self.wanted.items()
            if self.in_effect.get(name) != value
        )

    def change(self, settings: Mapping[str, Any], now: float) -> None:
        """Begin a change. ``now``: s."""
        if settings == self.wanted:
            return
        self.wanted = dict(settings)
        self.since = now
        if self.is_under_way:
            self.failure = ''

    def completed(self) -> None:
        """Note that every worker has the wanted settings."""
        self.ended += self.is_under_way
        self.in_effect = dict(self.wanted)

    def acknowledge(self) -> None:
        """Forget why the last change is not in effect: somebody has set a parameter since."""
        self.failure = ''

    def fail(self, worker: str, reason: str) -> dict[str, Any]:
        """Give a change up, as a worker cannot start with it. Returns the settings to restore.

        Args:
            worker: its name.
            reason: why.
        """
        old = {
            name: value for name, value in self.in_effect.items() if self.wanted.get(name) != value
        }
        values = ', '.join(f'{name}: {value!r}' for name, value in old.items())
        self.failure = (
            f'{self.changes} is not in effect: {worker} failed: {reason}; still in effect: {values}'
        )
        self.wanted = dict(self.in_effect)
        self.ended += 1
        return old
