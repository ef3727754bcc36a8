# SPDX-License-Identifier: Apache-2.0
"""Which workers of a stage are active, and which are standbys."""

from __future__ import annotations

from collections.abc import Iterable


class Roster:
    """The workers of a stage by name: ``active_target`` of them active, the others standbys.

    When an active worker fails, a standby that is ready is promoted in its place. Without one, the
    worker stays active and returns to work as soon as it can.

    Raises ValueError if ``active_target`` is below 1.
    """

    def __init__(self, active_target: int) -> None:
        if active_target < 1:
            raise ValueError(f'active_target: found {active_target}; allowed: 1 or more')
        self.active_target = active_target
        self._names: list[str] = []
        self._active: set[str] = set()

    def add(self, name: str) -> None:
        """Add a worker: active while there are fewer than ``active_target``, else a standby."""
        if name in self._names:
            raise ValueError(f'found {name!r} twice; allowed: each worker once')
        self._names.append(name)
        if len(self._active) < self.active_target:
            self._active.add(name)

    def remove(self, name: str) -> None:
        """Remove a worker; if it was active, the next one to be added becomes active."""
        self._names.remove(name)
        self._active.discard(name)

    def rebalance(self) -> tuple[list[str], list[str]]:
        """Apply a change of ``active_target``: promote the first standbys, demote the last active.

        Returns:
            The promoted and the demoted workers.
        """
        active = [name for name in self._names if name in self._active]
        standbys = [name for name in self._names if name not in self._active]
        promoted = standbys[: max(0, self.active_target - len(active))]
        demoted = active[self.active_target :]
        self._active = (self._active | {*promoted}) - {*demoted}
        return promoted, demoted

    def is_active(self, name: str) -> bool:
        """Return whether a worker is active; False for one that is not on the roster."""
        return name in self._active

    def promote(self, name: str, ready: Iterable[str]) -> str | None:
        """Make a ready standby active in place of ``name``, and return it.

        It is the first of them on the roster; None if no standby is ready or ``name`` is not
        active.
        """
        if name not in self._active:
            return None
        ready_standbys = {each for each in ready if each not in self._active}
        for each in self._names:
            if each in ready_standbys:
                self._active.remove(name)
                self._active.add(each)
                return each
        return None
