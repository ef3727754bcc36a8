# SPDX-License-Identifier: Apache-2.0
"""Notifications to systemd or another service manager that has started this process.

The protocol (sd_notify(3)) is a datagram of lines, sent to the socket in ``NOTIFY_SOCKET``. The
libraries for it do not fit: python3-systemd needs libsystemd and a compiler where ROS 2 comes as
wheels; sdnotify has no rosdep key, no release since 2017 and no watchdog, and blocks on a full
socket.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import MutableMapping

# Pings per watchdog timeout, so that one may be late.
PINGS_PER_TIMEOUT = 3


class SystemdNotifier:
    """Sends notifications, on one thread; never blocks or raises.

    A notification that cannot be sent is sent with the next call.

    Args:
        address: The service manager's socket; '' if there is none.
        watchdog: The watchdog timeout, s; 0: no watchdog.
    """

    def __init__(self, address: str = '', watchdog: float = 0.0) -> None:
        # '@' stands for the zero byte at the beginning of an abstract address.
        self._address = f'\0{address[1:]}' if address.startswith('@') else address
        self.watchdog = watchdog
        self._ping_period = watchdog / PINGS_PER_TIMEOUT
        self._pinged_at = -math.inf
        self._sent: set[str] = set()

    @classmethod
    def from_environment(
        cls, environment: MutableMapping[str, str] = os.environ
    ) -> SystemdNotifier:
        """Return the notifier for this process and remove its variables from the environment.

        Child processes must not notify in this process's name, least of all ping its watchdog.
        """
        address = environment.pop('NOTIFY_SOCKET', '')
        microseconds = environment.pop('WATCHDOG_USEC', '')
        # Without a pid it is meant for any process that reads it.
        pid = environment.pop('WATCHDOG_PID', '') or str(os.getpid())
        is_ours = microseconds.isdecimal() and pid == str(os.getpid())
        return cls(address, int(microseconds) / 1e6 if is_ours else 0.0)

    def ready(self) -> None:
        """Notify, once, that start-up is complete."""
        self._send_once('READY=1')

    def stopping(self) -> None:
        """Notify, once, that shutdown has begun."""
        self._send_once('STOPPING=1')

    def status(self, line: str) -> None:
        """Send a status line for people, if it differs from the previous one."""
        message = f'STATUS={line}'
        if message not in self._sent and self._send(message):
            self._sent = {each for each in self._sent if not each.startswith('STATUS=')} | {message}

    def ping_watchdog(self, now: float) -> None:
        """Reset the watchdog's timer if that is due. ``now``: monotonic time, s."""
        is_due = self._ping_period > 0 and now - self._pinged_at >= self._ping_period
        if is_due and self._send('WATCHDOG=1'):
            self._pinged_at = now

    @property
    def next_ping(self) -> float:
        """Return when the watchdog's timer is to be reset next: monotonic time, s."""
        return self._pinged_at + self._ping_period

    @property
    def is_used(self) -> bool:
        """Return whether there is a service manager."""
        return bool(self._address)

    def send(self, message: str) -> bool:
        """Send a notification of another process; return whether that was possible."""
        return self._send(message)

    def _send_once(self, message: str) -> None:
        if message not in self._sent and self._send(message):
            self._sent.add(message)

    def _send(self, message: str) -> bool:
        """Return whether the message was sent."""
        if not self._address:
            return False
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            with socket.socket(socket.AF_UNIX, kind) as sender:
                sender.sendto(message.encode(), self._address)
        except OSError:  # no such socket, or it is full
            return False
        return True
