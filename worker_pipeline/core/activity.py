# SPDX-License-Identifier: Apache-2.0
"""Whether a worker may be between its stage's ``activate`` and ``deactivate``."""

from __future__ import annotations

_LEFT = frozenset({'active', 'deactivating'})
# How long a killed process is waited for, s. One that hangs in the kernel may never exit.
DYING_TIMEOUT = 2.0


class Activity:
    """Follows one slot's process, from its start to its exit.

    A worker that was asked to become active may be active from then on: its report comes later. It
    counts until it reports that it was deactivated, or its process has exited.

    Args:
        settle: s after which a report of an inactive worker was sent later than any request to
            activate was received.
    """

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self.has_failed = False  # it was to become active, and never was
        self._possible = False
        self._since = 0.0  # of the last request, and of the last change of state
        self._state = ''
        self._killed_at = float('inf')

    def started(self, now: float, *, becomes_active: bool) -> None:
        """Follow a new process. ``becomes_active``: without being asked again; or it may be so."""
        self._possible = self.has_failed = becomes_active
        self._since = now
        self._state = ''
        self._killed_at = float('inf')

    def activation_requested(self, now: float) -> None:
        """Note that the worker was asked to become active."""
        self._possible = True
        self.has_failed = True
        self._since = now

    def reported(self, state: str, now: float) -> None:
        """Note a report of the worker's lifecycle state."""
        former, self._state = self._state, state
        if state == 'active':
            self.has_failed = False
        if state in ('activating', *_LEFT):
            self._possible = True
        elif state in ('inactive', 'unconfigured'):
            # The first such report may have been sent before a request to activate was received.
            has_settled = state == former and now - self._since >= self._settle
            if former in _LEFT or (has_settled and state == 'inactive'):
                self._possible = False
        if state != former:
            self._since = now

    def killed(self, now: float) -> None:
        """Note that SIGKILL is being sent."""
        self._killed_at = now

    def extend(self, seconds: float) -> None:
        """Shift the times by that of a pause: nothing was received in it."""
        self._since += seconds
        self._killed_at += seconds

    def exited(self) -> None:
        """Note that the process has exited."""
        self._possible = False

    def is_possible(self, now: float) -> bool:
        """Return whether the worker may be active."""
        return self._possible and now - self._killed_at <= DYING_TIMEOUT
