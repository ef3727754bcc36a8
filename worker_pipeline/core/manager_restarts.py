# SPDX-License-Identifier: Apache-2.0
"""What follows the end of a manager's process: another one, now or later, or the end of all."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from worker_pipeline.core.restart_policy import RestartPolicy

# As of a slot whose configuration does not say otherwise.
BACKOFF_MAX = 10.0  # s
LIMIT = 5
# A manager that was running for so long may be replaced at once, s. Of a slot these are 30 s, but
# for a manager all workers wait.
WINDOW = 0.5


@attrs.frozen
class Finish:
    """End with an exit code, negative for a signal, as in ``subprocess``."""

    code: int


@attrs.frozen
class Restart:
    """Start another manager."""

    delay: float  # s
    is_failing: bool  # whether one after the other has died at its start
    is_worth_a_line: bool  # False: it was said already that managers keep dying


Decision = Finish | Restart


class ManagerRestarts:
    """Decides on each end of a manager, by the restart policy of the slots.

    A first start that fails is the command's failure: whoever has started it is there to see it,
    and may start it again. Once a manager has been active, the pipeline is kept running: only a
    clean end, a permanent cause, or a request to stop is final.

    Args:
        is_permanent: Tells whether another start would end with the same exit code.
        policy: Of the delays.
        handed_over: The exit code of a manager that leaves all to the next one; None: none has.
    """

    def __init__(
        self,
        is_permanent: Callable[[int], bool],
        policy: RestartPolicy | None = None,
        handed_over: int | None = None,
    ) -> None:
        self._handed_over = handed_over
        self._is_permanent = is_permanent
        self._policy = policy or RestartPolicy(backoff_max=BACKOFF_MAX, limit=LIMIT, window=WINDOW)
        self._has_been_active = False
        self._was_failing = False
        self.is_stopping = False
        self._may_retry_stop = True

    def is_running(self, now: float) -> None:
        """Note that the manager has come up: it supervises its workers. ``now``: s."""
        self._policy.went_up(now)

    def is_active(self) -> None:
        """Note that the manager is active, as its pipeline is ready."""
        self._has_been_active = True

    def stop(self) -> None:
        """Note that the pipeline was asked to stop, after which its end is the last.

        If a signal ends the manager, as just before it could be asked, one more shuts the workers
        down.
        """
        self.is_stopping = True

    def ended(self, code: int, now: float) -> Decision:
        """Decide what follows the end of the manager.

        Args:
            code: Its exit code, negative for a signal.
            now: The time, s.
        """
        if code == self._handed_over:  # also if a stop was asked for meanwhile
            return Restart(0.0, is_failing=False, is_worth_a_line=False)
        self._policy.went_down(now)
        if self.is_stopping and code < 0 and self._has_been_active and self._may_retry_stop:
            self._may_retry_stop = False
            return Restart(0.0, is_failing=False, is_worth_a_line=True)
        if self.is_stopping or code == 0 or self._is_permanent(code):
            return Finish(code)
        if code > 0 and not self._has_been_active:
            return Finish(code)
        delay = self._policy.delay(now)
        is_failing = self._policy.failing(now)
        if is_failing and not self._has_been_active:
            return Finish(code)
        is_news = delay == 0.0 or (is_failing and not self._was_failing)
        self._was_failing = is_failing
        return Restart(delay, is_failing, is_news)
