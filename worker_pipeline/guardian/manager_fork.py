# SPDX-License-Identifier: Apache-2.0
"""The manager's process, forked from the guardian."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from worker_pipeline.exit_codes import EXIT_FAILED
from worker_pipeline.manager.process import run_manager
from worker_pipeline.output.output_relay import OutputRelay
from worker_pipeline.ros import dds
from worker_pipeline.system.descriptor_passing import send_packet
from worker_pipeline.system.fork_client import KeptServer
from worker_pipeline.system.guardian_link import (
    MAX_PACKET,
    SERVER_PID,
    GuardedNotifier,
    GuardianLink,
)
from worker_pipeline.system.proc import set_process_name
from worker_pipeline.system.stop_signals import GUARDED_SIGNALS, STOP_SIGNALS, StopSignals

_PR_SET_PDEATHSIG = 1
# Signals that the guardian handles: none may come between the fork and the manager's own handlers.
_HELD = {*STOP_SIGNALS, *GUARDED_SIGNALS}


class ManagerFork:
    """Forks a manager, and is the guardian's end of the connection to it.

    Args:
        arguments: As in ``sys.argv``.
        settings: How the processes of the pipeline communicate.
        signals: The guardian's.
        output: Relays what the manager prints.
        watchdog: The watchdog's timeout, s; 0: there is no watchdog.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        settings: dds.Settings | None,
        signals: StopSignals,
        output: OutputRelay,
        watchdog: float,
    ) -> None:
        self._arguments = arguments
        self._settings = settings
        self._signals = signals
        self._output = output
        self._watchdog = watchdog
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.link: socket.socket | None = None
        self.pid = 0  # 0: there is no manager

    def start(self, server: KeptServer, in_manager: Callable[[], None]) -> None:
        """Fork a manager. Raises OSError.

        Args:
            server: A connection to the fork server.
            in_manager: Called first in the manager.
        """
        guardian = os.getpid()
        with server.connection:
            ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with its:
                former = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
                try:
                    pid = os.fork()
                    if not pid:
                        ours.close()
                        in_manager()
                        self._become_manager(guardian, former, its, server)
                except BaseException:
                    ours.close()
                    raise
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, former)
        self.pid, self.link = pid, ours

    def _become_manager(
        self, guardian: int, mask: Any, connection: socket.socket, server: KeptServer
    ) -> NoReturn:
        """Turn this process, a fork of the guardian, into a manager; never return."""
        code = EXIT_FAILED
        try:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != guardian:
                os.kill(os.getpid(), signal.SIGKILL)  # it died before it could be asked for
            self._signals.release()
            if faulthandler.is_enabled():
                faulthandler.disable()
                faulthandler.enable(2)
            signals = StopSignals()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            set_process_name('manager')
            self._output.take_over()
            link = GuardianLink(connection)
            code = run_manager(
                self._arguments,
                self._settings,
                signals,
                self._output,
                GuardedNotifier(link, self._watchdog),
                _once(server, link),
            )
        except BaseException:
            with contextlib.suppress(BaseException):
                print(f'manager:\n{traceback.format_exc()}', file=sys.stderr, end='')
        finally:
            with contextlib.suppress(BaseException):
                self._output.leave()
            os._exit(code)

    def send_signal(self, number: int) -> None:
        """Signal the manager, which has not been reaped."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def receive(self) -> Iterator[bytes]:
        """Yield the packets that the manager has sent."""
        while self.link is not None:
            try:
                packet = self.link.recv(MAX_PACKET, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                packet = b''
            if not packet:  # it is about to exit
                self.leave()
                return
            yield packet

    def give_server(self, server: KeptServer) -> None:
        """Give the manager a connection to another fork server. Raises OSError."""
        with server.connection:
            if self.link is not None:
                packet = SERVER_PID.pack(server.pid)
                send_packet(self.link, packet, [server.connection.fileno()])

    def has_exited(self) -> None:
        """Forget the manager, which was reaped."""
        self.pid = 0
        self.leave()

    def leave(self) -> None:
        """Close the connection to the manager; in another fork, which has no use for it."""
        if self.link is not None:
            self.link.close()
            self.link = None


def _once(server: KeptServer, link: GuardianLink) -> Any:
    """Return a function that returns a fork server: first this one, later others."""
    servers = [server]

    def next_server() -> KeptServer | None:
        return servers.pop() if servers else link.kept_server()

    return next_server
