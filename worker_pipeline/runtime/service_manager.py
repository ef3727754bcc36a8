"""The service manager that has started this process, systemd say, and what it is told.

Its protocol (sd_notify(3)) is a datagram of lines, sent to the socket that ``NOTIFY_SOCKET`` names.
There are libraries for it, which do not fit: python3-systemd needs libsystemd and a compiler where
ROS 2 comes as wheels; sdnotify has no rosdep key and no release since 2017, waits where the socket
is full, and knows nothing of the watchdog.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import MutableMapping

# Told this often in the time within which it wants to hear that we live: one may be late.
FEEDINGS = 3


class ServiceManager:
    """Who is told how this process stands; nobody, where ``address`` is empty.

    ``watchdog``: s within which it wants to hear that we live; 0 where it does not want to. Nothing
    here waits or raises: what it cannot take is told again when it is next asked for. To be used
    on one thread.
    """

    def __init__(self, address: str = '', watchdog: float = 0.0) -> None:
        # '@' stands for the zero byte with which an address begins that is no file.
        self._address = f'\0{address[1:]}' if address.startswith('@') else address
        self._feeding_period = watchdog / FEEDINGS
        self._fed_at = -math.inf
        self._told: set[str] = set()

    @classmethod
    def of_this_process(cls, environment: MutableMapping[str, str] = os.environ) -> ServiceManager:
        """The one that the environment names. It is taken out of there.

        What this process starts is not to speak in its name; least of all to say that it lives.
        """
        address = environment.pop('NOTIFY_SOCKET', '')
        microseconds = environment.pop('WATCHDOG_USEC', '')
        # Without a pid it is meant for whoever reads it.
        pid = environment.pop('WATCHDOG_PID', '') or str(os.getpid())
        is_ours = microseconds.isdecimal() and pid == str(os.getpid())
        return cls(address, int(microseconds) / 1e6 if is_ours else 0.0)

    def ready(self) -> None:
        """Tell, once, that all is up."""
        self._tell_once('READY=1')

    def stopping(self) -> None:
        """Tell, once, that the end has begun."""
        self._tell_once('STOPPING=1')

    def status(self, line: str) -> None:
        """Tell how it goes, in one line for people, when that is another one than before."""
        message = f'STATUS={line}'
        if message not in self._told and self._tell(message):
            self._told = {each for each in self._told if not each.startswith('STATUS=')} | {message}

    def feed(self, now: float) -> None:
        """Tell that we live, as often as it wants to hear it. ``now``: monotonic time, s."""
        is_due = self._feeding_period > 0 and now - self._fed_at >= self._feeding_period
        if is_due and self._tell('WATCHDOG=1'):
            self._fed_at = now

    def _tell_once(self, message: str) -> None:
        if message not in self._told and self._tell(message):
            self._told.add(message)

    def _tell(self, message: str) -> bool:
        if not self._address:
            return False
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            with socket.socket(socket.AF_UNIX, kind) as sender:
                sender.sendto(message.encode(), self._address)
        except OSError:  # nobody there, or too busy to take it
            return False
        return True
