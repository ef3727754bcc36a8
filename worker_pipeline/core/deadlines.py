# SPDX-License-Identifier: Apache-2.0
"""When a worker was last heard of, and for which silence it is replaced."""

from __future__ import annotations

from worker_pipeline.core.supervision_table import PRIMARY, Timing


class Deadlines:
    """The messages of one process, and since when they have been missing.

    Args:
        timing: the timeouts.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self.heartbeat_at = 0.0
        self.reported_at = 0.0  # when it last reported a state
        self.state_at = 0.0  # since when it has been in this state

    def reset(self, now: float) -> None:
        """Begin with a new process."""
        self.heartbeat_at = self.reported_at = self.state_at = now

    def extend(self, seconds: float, silent_from: float) -> None:
        """Shift the deadlines by the time of a pause.

        Args:
            seconds: its length.
            silent_from: no silence before counts.
        """
        self.heartbeat_at = max(self.heartbeat_at + seconds, silent_from)
        self.reported_at += seconds
        self.state_at += seconds

    def missed(self, state: str, now: float) -> str:
        """Return which deadline a worker that is ready has missed, '' if none.

        Args:
            state: its lifecycle state.
            now: s.
        """
        reason = self.missing_messages(now)
        if not reason and state not in PRIMARY:
            hanging = now - self.state_at
            if hanging > self._timing.startup_timeout:
                return f'{state} for {hanging:.2f} s'
        return reason

    def late_start(self, *, has_process: bool) -> str:
        """Return the reason to end a start that has taken too long."""
        timeout = self._timing.startup_timeout
        if not has_process:
            return f'no process within {timeout:g} s'
        return f'not ready within {timeout:g} s'

    def missed_after_adoption(self, now: float) -> str:
        """Return which deadline a worker has missed that has reported nothing since its adoption.

        Its heartbeat is in shared memory and needs no discovery.
        """
        timing = self._timing
        if now - self.heartbeat_at > timing.heartbeat_timeout:
            return self.missing_messages(now)
        allowed = timing.heartbeat_timeout + timing.adoption_grace
        late = now - self.reported_at > allowed
        return f'reported no state within {allowed:g} s of its adoption' if late else ''

    def missing_messages(self, now: float) -> str:
        """Return which kind of message has been missing for too long, '' if none."""
        silence = now - self.heartbeat_at
        if silence > self._timing.heartbeat_timeout:
            return f'no heartbeat for {silence:.2f} s'
        silence = now - self.reported_at
        if silence > self._timing.heartbeat_timeout + self._timing.status_grace:
            return f'alive, but reported no state for {silence:.2f} s'
        return ''
