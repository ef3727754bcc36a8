# SPDX-License-Identifier: Apache-2.0
"""The manager's side of the output relay: its own streams, and those of its workers."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worker_pipeline.output import redirect
from worker_pipeline.output.drop_reports import DropReports
from worker_pipeline.output.former_relay import end_former_relay
from worker_pipeline.output.last_words import last_words
from worker_pipeline.output.pipes import PIPE_SIZE, enlarge, existing_pipes, make_pipe
from worker_pipeline.system.one_processor import of_process
from worker_pipeline.system.proc import is_stopped, start_of

# How much the workers' pipes may hold together; further ones keep their size. At twice that much
# Linux makes all new pipes of a user small (/proc/sys/fs/pipe-user-pages-soft).
MAX_PIPES_SIZE = 33_554_432
# How long to wait for a dead worker's last lines, s. They come within a millisecond, unless the
# machine is overloaded.
LAST_LINES_TIMEOUT = 1.0
# In the pipeline's folder.
PID_FILE = 'output_relay'
# The relay's own limit is five seconds.
EXIT_TIMEOUT = 6.0
TAKEOVER_TIMEOUT = 1.0
MAX_ANSWERS = 100

# Starts the relay without the rest of the package, whose imports would take ten times as long.
_PROGRAM = """
import sys, types
package = types.ModuleType('worker_pipeline')
package.__path__ = [sys.argv[1]]
sys.modules['worker_pipeline'] = package
from worker_pipeline.output.relay import main
main(sys.argv[2:])
"""
_PACKAGE = Path(__file__).parents[1]


class OutputRelay:
    """Runs the relay's process, and asks it for what it knows.

    From ``open`` to ``close`` the file descriptors 1 and 2 of this process are pipes that the
    relay reads. They do not block: if the relay is stopped and a pipe is full, lines are lost.

    A process that has opened it may be forked: one fork at a time then uses it, see ``take_over``.
    """

    def __init__(self) -> None:
        self.dropped: dict[str, int] = {}  # lines by worker; '': of all, as nobody read them
        self._true_streams: list[int] = []
        self._pipes: list[tuple[str, int, int]] = []  # stream, reading and writing end
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the pid of the process whose child the relay is
        self._pidfd = -1  # the relay's
        self._watched: dict[str, str] = {}  # labels by the path of the liveness record
        self._last_lines: dict[int, list[str]] = {}  # by the number of the request
        self._requests = 0
        self._is_unresponsive = False
        self._was_stopped = False  # the relay, at the last look
        self._saved: Any = None
        self._drop_reports = DropReports()

    # -- the manager's own output ----------------------------------------------------------------

    def open(self) -> None:
        """Start the relay, and print into it. Raises OSError where it cannot be started."""
        self._true_streams = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 3) for each in (1, 2)]
        out, err = self._true_streams
        is_one = os.path.sameopenfile(out, err)
        self._set_environment()
        names = ['stderr'] if is_one else ['stdout', 'stderr']
        # The last one is for helper processes, which cannot print into a pipe that does not block.
        self._pipes = [(name, *make_pipe()) for name in (*names, 'stderr')]
        self._start()
        own = {name: write for name, _, write in self._pipes[:-1]}
        for write in own.values():
            os.set_blocking(write, False)
        os.dup2(own.get('stdout', own['stderr']), 1)
        os.dup2(own['stderr'], 2)
        self._saved = sys.stdout, sys.stderr
        for name, descriptor, stream in (('stdout', 1, sys.stdout), ('stderr', 2, sys.stderr)):
            encoding = getattr(stream, 'encoding', None) or 'utf-8'
            setattr(sys, name, redirect.unfailing_text(descriptor, encoding))

    def _set_environment(self) -> None:
        """Have the log of ROS look as if it were written to where the relay writes it."""
        uses_stdout = os.environ.get('RCUTILS_LOGGING_USE_STDOUT') == '1'
        if os.isatty(self._true_streams[0 if uses_stdout else 1]):
            os.environ.setdefault('RCUTILS_COLORIZED_OUTPUT', '1')
        if uses_stdout:
            os.environ.setdefault('RCUTILS_LOGGING_BUFFERED_STREAM', '1')

    def _start(self) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, err = self._true_streams
        if len(self._pipes) == 2:
            out = err
        pipes = [f'{name}={read}' for name, read, _ in self._pipes]
        with its, of_process.as_before():
            self._process = subprocess.Popen(
                [
                    *(sys.executable, '-I', '-S', '-c', _PROGRAM, str(_PACKAGE)),
                    *(str(its.fileno()), str(out), str(err), *pipes),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._true_streams[1],
                pass_fds=[its.fileno(), out, err, *(read for _, read, _ in self._pipes)],
                # Signals of the terminal are for the manager.
                start_new_session=True,
                cwd='/',
            )
        self._owner = os.getpid()
        try:
            pidfd = os.pidfd_open(self._process.pid)
        except OSError:
            self._process.kill()
            raise
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pidfd = pidfd
        if self._control is not None:
            self._control.close()
        ours.setblocking(False)
        self._control = ours

    @property
    def _is_dead(self) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def take_over(self) -> None:
        """In a fork of the process that has opened it: use the relay from now on.

        What the relay still has to tell an earlier fork is discarded.
        """
        if self._control is None:
            return
        self._receive()
        self.dropped.clear()
        self._last_lines.clear()
        # Numbers that the earlier one has not used: its answers may be yet to come.
        self._requests = os.getpid() << 32

    def enter_fork_server(self) -> None:
        """In a fork of this process: print into a pipe that blocks; close what is not its own."""
        if self._control is None:
            return
        for descriptor in (1, 2):
            os.dup2(self._pipes[-1][2], descriptor)
        self._control.close()
        self._control = None
        os.close(self._pidfd)
        self._close_descriptors()

    def _close_descriptors(self) -> None:
        for descriptor in (*self._true_streams, *(end for _, *ends in self._pipes for end in ends)):
            os.close(descriptor)

    def close(self) -> None:
        """Print as before, and wait until the relay has written everything, if anyone reads it."""
        if self._control is None or self._process is None:
            return
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).fflush(None)
        for descriptor, true_stream in zip((1, 2), self._true_streams, strict=True):
            os.dup2(true_stream, descriptor)
        sys.stdout, sys.stderr = self._saved
        if self._is_dead:  # and what it has not written is still in the pipes
            with contextlib.suppress(OSError):
                self._start()
        self._end_relay()
        self._control.close()
        self._control = None
        os.close(self._pidfd)
        self._close_descriptors()

    def leave(self) -> None:
        """In a fork that has used the relay: write everything, and end a relay of its own."""
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).fflush(None)
        if self._control is not None and self._owner == os.getpid():
            self._end_relay()

    def _end_relay(self) -> None:
        assert self._process is not None, 'made by open()'
        self._send('close')
        try:
            self._process.wait(EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # -- the relay -------------------------------------------------------------------------------

    def _send(self, *message: Any) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(marshal.dumps(message))

    def _receive(self) -> None:
        while self._control is not None:
            try:
                packet = self._control.recv(65_536)
            except OSError:
                return
            if not packet:
                return
            kind, key, value = marshal.loads(packet)
            if kind == 'dropped':
                self.dropped[key] = self.dropped.get(key, 0) + value
            else:
                self._is_unresponsive = False
                self._last_lines[key] = value

    def tick(self, now: float) -> list[str]:
        """Receive what the relay reports, and start another one if it is dead.

        Returns what is to be logged. ``now``: s.
        """
        self._receive()
        return [*self._restart_if_dead(), *self._drop_reports.due(self.dropped, now)]

    def _restart_if_dead(self) -> list[str]:
        if self._process is None or self._control is None:
            return []
        # Twice in a row: stopped together with this process, it may continue a moment later.
        was_stopped, self._was_stopped = self._was_stopped, is_stopped(self._process.pid)
        if was_stopped and self._was_stopped:
            self._was_stopped = False
            self._kill()
        if not self._is_dead:
            return []
        code = self._process.poll() if self._owner == os.getpid() else None
        pid = self._process.pid
        try:
            self._start()
        except OSError as error:
            return [f'the output relay (pid {pid}) is dead, and cannot be started: {error}']
        for record, label in self._watched.items():
            self._send_pipes(record, label)
        reason = '' if code is None else f': exit code {code}'
        return [f'the output relay (pid {pid}) exited{reason}; another was started']

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(TAKEOVER_TIMEOUT * 1e3)

    def adopt(self, folder: Path) -> None:
        """Take over the workers of an earlier manager from its relay, and be found by the next one.

        ``folder``: that of the pipeline's state.
        """
        if self._process is None:
            return
        end_former_relay(folder / PID_FILE, but=self._process.pid)
        with contextlib.suppress(OSError):
            self.register(folder)

    def register(self, folder: Path) -> None:
        """Write down which process the relay is, for the next manager. Raises OSError."""
        if self._process is not None:
            pid = self._process.pid
            new = folder / f'{PID_FILE}.new'
            new.unlink(missing_ok=True)
            new.write_text(f'{pid} {start_of(pid)}')
            new.replace(folder / PID_FILE)  # whatever is in its place

    def is_registered(self, folder: Path) -> bool:
        """Return whether it is written down, if there is a relay."""
        return self._process is None or (folder / PID_FILE).is_file()

    # -- the workers' output ---------------------------------------------------------------------

    def watch(self, record: Path, label: str) -> None:
        """Read the output of a worker that is about to be started, or was by an earlier manager.

        Args:
            record: The path of its liveness record.
            label: Its name, ``detect_target/worker_0``.
        """
        if self._control is None:
            return
        pipes = redirect.worker_pipes(str(record))
        if len(self._pipes) == 2:
            del pipes['stdout']
        if not existing_pipes(str(record)):
            with contextlib.suppress(OSError):  # without them it prints as the fork server does
                for path in pipes.values():
                    os.mkfifo(path, 0o600)
        self._watched[str(record)] = label
        self._send_pipes(str(record), label)

    def _send_pipes(self, record: str, label: str) -> None:
        """Have the relay read the pipes of a worker.

        They are opened here: what a worker prints is kept even if it dies before the relay reads.

        Args:
            record: As above.
            label: As above.
        """
        assert self._control is not None
        opened: dict[str, int] = {}
        paths = existing_pipes(record)
        is_large = len(self._watched) * len(paths) * PIPE_SIZE <= MAX_PIPES_SIZE
        with contextlib.suppress(OSError):
            for path in paths.values():
                opened[path] = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                if is_large:
                    enlarge(opened[path])
            message = marshal.dumps(('watch', record, label, paths))
            socket.send_fds(self._control, [message], [*opened.values()])
        for descriptor in opened.values():
            os.close(descriptor)

    def ended(self, record: Path) -> None:
        """Forget a worker that has exited."""
        if self._watched.pop(str(record), None) is not None:
            self._send('ended', str(record), 0)

    def ask_last_words(self, record: Path) -> int:
        """Forget a worker that has exited, and ask for what it printed at its end.

        Returns the number of the request; 0 if there is no answer to wait for.
        """
        if self._watched.pop(str(record), None) is None or self._control is None:
            return 0
        self._receive()
        if len(self._last_lines) > MAX_ANSWERS:  # nobody has waited for them
            self._last_lines.clear()
        self._requests += 1
        self._send('ended', str(record), self._requests)
        return self._requests

    def answer(self, request: int) -> list[str] | None:
        """Return the answer to a request; None if there is none yet."""
        if not request:
            return []
        self._receive()
        lines = self._last_lines.pop(request, None)
        return None if lines is None else last_words(lines)

    def await_answer(self, request: int) -> list[str]:
        """Wait for the answer to a request, but not for long; return nothing if it is late."""
        end = time.monotonic() + (0.0 if self._is_unresponsive else LAST_LINES_TIMEOUT)
        while True:
            words = self.answer(request)
            if words is not None:
                return words
            if time.monotonic() > end:
                self._is_unresponsive = True
                return []
            self._await_packet(end)

    def _await_packet(self, end: float) -> None:
        assert self._control is not None
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.poll(max(0.0, end - time.monotonic()) * 1e3)


@contextlib.contextmanager
def relayed_output() -> Iterator[OutputRelay]:
    """Relay the output of this process and of its workers within the context."""
    relay = OutputRelay()
    try:
        relay.open()
    except OSError as error:  # there is no process or pipe left; the pipeline may still run
        print(f'manager: the output relay cannot be started: {error}', file=sys.stderr)
    try:
        yield relay
    finally:
        relay.close()
