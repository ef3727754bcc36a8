# SPDX-License-Identifier: Apache-2.0
"""What systemd is notified of: by the manager, and by the guardian while there is none.

systemd takes notifications from the process that it has started only, and for it that one is the
service, whichever manager is running.
"""

from __future__ import annotations

from collections import deque

from worker_pipeline.system.systemd_notifier import SystemdNotifier

READY, STOPPING = 'READY=1', 'STOPPING=1'
# How long a manager may take from its start until it pings the watchdog itself, s.
START_TIMEOUT = 120.0
# How soon to send again what systemd's socket had no room for, s.
RETRY_PERIOD = 0.1
MAX_UNSENT = 32


class Notifications:
    """Passes notifications on, and pings the watchdog while a manager is starting.

    Args:
        systemd: Sends them.
    """

    def __init__(self, systemd: SystemdNotifier) -> None:
        self._systemd = systemd
        self._unsent: deque[str] = deque(maxlen=MAX_UNSENT)
        self._is_stopping = False
        self._is_running = False  # the manager pings by itself
        self._ping_until = float('inf')

    @property
    def watchdog(self) -> float:
        """Return the watchdog's timeout, s; 0: there is no watchdog."""
        return self._systemd.watchdog

    def started(self, now: float) -> None:
        """Note that a manager was started. ``now``: s."""
        self._is_running, self._ping_until = False, now + START_TIMEOUT

    def running(self) -> None:
        """Note that the manager is running: from now on it pings the watchdog, or nobody does."""
        self._is_running = True

    def stop(self) -> None:
        """Note that the service was asked to stop."""
        self._is_stopping = True

    def pass_on(self, text: str) -> bool:
        """Pass a notification of the manager on; return whether it says that it is active.

        That one manager stops does not mean that the service does.
        """
        if self._systemd.is_used and (text != STOPPING or self._is_stopping):
            self._unsent.append(text)
            self._send()
        return text == READY

    def tick(self, now: float) -> None:
        """Send what is due. ``now``: s."""
        self._send()
        if not self._is_running and now < self._ping_until:
            self._systemd.ping_watchdog(now)

    def ended(self) -> None:
        """Note that there is no manager, and that another one is to be started."""
        self._is_running, self._ping_until = False, float('inf')

    def due(self, now: float) -> float | None:
        """Return when ``tick`` is to be called; None: not before something happens. ``now``: s."""
        if self._unsent:
            return now + RETRY_PERIOD
        if self._systemd.watchdog and not self._is_running and now < self._ping_until:
            return max(now + RETRY_PERIOD / 2, self._systemd.next_ping)
        return None

    def _send(self) -> None:
        while self._unsent and self._systemd.send(self._unsent[0]):
            self._unsent.popleft()
