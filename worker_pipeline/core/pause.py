# SPDX-License-Identifier: Apache-2.0
"""Whether workers are silent because something outside the pipeline has stopped them.

A worker that is silent hangs, and is replaced. It does not hang

- while a debugger holds it, or its control group is frozen: no stage does that to itself;
- while all workers are stopped (SIGSTOP): one that is stopped alone may have stopped itself, or the
  item did it. A pipeline with one worker cannot tell, and replaces it, unless the manager was
  stopped with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker_pipeline.core.hold_up import ROUNDING

# How long workers that are stopped together are waited for, s. The manager runs meanwhile: time in
# which it was stopped too does not count.
PAUSE_LIMIT = 300.0
# From which share of ``heartbeat_timeout`` on a silent worker is looked at: a pause that ends just
# before the timeout is recognised too.
EARLY = 0.5


class Pause:
    """Decides which silent workers are waited for.

    Args:
        timeout: ``heartbeat_timeout``, s.
        is_stopped: returns whether a signal has stopped a process.
        is_held: returns whether a debugger holds a process, or its control group is frozen.
    """

    def __init__(
        self, timeout: float, is_stopped: Callable[[int], bool], is_held: Callable[[int], bool]
    ) -> None:
        self._timeout = timeout
        self._is_stopped = is_stopped
        self._is_held = is_held
        self._excused: frozenset[int] = frozenset()
        self._members: frozenset[int] = frozenset()  # stopped together
        self._since = 0.0
        self._given_up: frozenset[int] = frozenset()
        self._held_up_at = float('-inf')
        self.messages: list[tuple[bool, str]] = []  # to be logged: whether as a warning, and what

    def held_up(self, seconds: float, now: float) -> None:
        """Note that the manager itself could do nothing for so long, s, until ``now``."""
        if seconds >= self._timeout:
            self._held_up_at = now

    def update(self, silences: Mapping[int, float], now: float) -> frozenset[int]:
        """Return the workers that are waited for: this moment does not count for them.

        Args:
            silences: by the pid of each live worker, how long it has sent no heartbeat, s.
            now: s.
        """
        looked_at = [
            pid
            for pid, silence in silences.items()
            if silence > EARLY * self._timeout or pid in self._excused
        ]
        held = frozenset(pid for pid in looked_at if self._is_held(pid))
        together = self._stopped_together(silences, held, now) if looked_at else frozenset()
        if together and not self._members:
            self._since = now - max(silences[pid] for pid in together)
        self._note(held - together, together, now)
        self._excused = held | together
        self._given_up &= silences.keys()
        return self._excused

    def _stopped_together(
        self, silences: Mapping[int, float], held: frozenset[int], now: float
    ) -> frozenset[int]:
        """Return all workers, if all are stopped; those that were started meanwhile apart."""
        living = frozenset(silences)
        group = self._members & living or living - self._given_up
        if len(group) < 2 and not self._members:
            # The manager was stopped with it, and has not heard from it since.
            since = [now - silences[pid] for pid in group]
            if not since or min(since) > self._held_up_at + ROUNDING:
                return frozenset()
        if group != living and not self._members:
            return frozenset()
        if not all(pid in held or self._is_stopped(pid) for pid in group):
            return frozenset()
        if self._members and now - self._since > PAUSE_LIMIT:
            self._given_up |= group
            return frozenset()
        return group

    def _note(self, held: frozenset[int], together: frozenset[int], now: float) -> None:
        for pid in sorted(held - self._excused):
            self._log(f'pid {pid} is held by a debugger or a frozen control group: waiting for it')
        if together and not self._members:
            self._log(
                f'all workers ({len(together)}) are stopped, by something outside the pipeline: '
                f'waiting for them, up to {PAUSE_LIMIT:g} s'
            )
        elif self._members and not together:
            seconds = now - self._since
            if self._given_up & self._members:
                self._log(f'the workers have been stopped for {seconds:.1f} s: replacing them')
            else:
                self._log(f'the workers continue after {seconds:.1f} s', is_warning=False)
        self._members = together

    def _log(self, text: str, *, is_warning: bool = True) -> None:
        self.messages.append((is_warning, text))
