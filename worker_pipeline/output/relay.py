# SPDX-License-Identifier: Apache-2.0
"""The output relay: a process that reads what the manager and its workers print, and writes it.

It outlives the manager as long as a worker does, so that no worker ever prints into a pipe that
nobody reads. It imports the standard library only, and uses no processor time while nothing is
printed.
"""

from __future__ import annotations

import contextlib
import marshal
import mmap
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from worker_pipeline.output.worker_stream import ManagerStream, WorkerOutput, WorkerStream
from worker_pipeline.output.writer import StreamWriter

MAX_MESSAGE = 65_536  # of the manager, bytes
MAX_PIPES = 2  # of a worker
# How often counts are reported to the manager while they change, s.
REPORT_INTERVAL = 0.5
# At its end: how long to wait for the reader to take anything, and how long in all, s.
NO_PROGRESS_TIMEOUT = 1.0
END_TIMEOUT = 5.0
# The same when the next manager's relay takes over.
TAKEOVER_TIMEOUT = 0.3
STDOUT, STDERR = 'stdout', 'stderr'
# Everything is read into this: to allocate it for each line would take longer than to read it. Of
# mapped memory only those pages count that were ever needed.
_BUFFER = memoryview(mmap.mmap(-1, WorkerStream.READ_SIZE))


class _Input:
    """A pipe that is read.

    Args:
        descriptor: Its reading end.
        stream: Splits it into lines.
        writer: Of the stream that its lines are written to.
        path: Of a worker's pipe: its file.
        worker: Of a worker's pipe: the worker's output.
    """

    def __init__(
        self,
        descriptor: int,
        stream: WorkerStream | ManagerStream,
        writer: StreamWriter,
        path: str = '',
        worker: WorkerOutput | None = None,
    ) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.path = path
        self.worker = worker
        self._stream = stream
        self._writer = writer

    def read(self, now: float) -> bool:
        """Pass on what a pipe may hold; return whether there was anything. ``now``: s.

        Raises EOFError when nobody can write to it any more.
        """
        try:
            size = os.readv(self.descriptor, [_BUFFER[: self._stream.READ_SIZE]])
        except BlockingIOError:
            return False
        if not size:
            raise EOFError
        for line in self._stream.feed(bytes(_BUFFER[:size]), now):
            self._writer.add(line, is_own=self.worker is None)
        return True

    def flush(self, now: float) -> None:
        """Pass on the line that has not ended. ``now``: s."""
        for line in self._stream.flush(now):
            self._writer.add(line, is_own=self.worker is None)

    def flush_at(self) -> float | None:
        """Return when that line is due, s; None if there is none."""
        return self._stream.flush_at()


class Relay:
    """The relay's event loop.

    Args:
        control: The connection to the manager.
        writers: By name of the stream; both may be the same.
    """

    def __init__(self, control: socket.socket, writers: dict[str, StreamWriter]) -> None:
        self._control: socket.socket | None = control
        self._writers = writers
        self._epoll = select.epoll()
        self._inputs: dict[int, _Input] = {}
        self._workers: dict[str, WorkerOutput] = {}  # by the path of their liveness record
        self._reported: dict[str, int] = {}  # dropped lines, by the same; '': of all
        self._report_at: float | None = None
        self._is_closing = False
        self._replaced = False
        self._commands: dict[str, Callable[..., None]] = {
            'watch': self._watch,
            'ended': self._ended,
            'close': self._close,
        }
        control.setblocking(False)
        self._epoll.register(control, select.EPOLLIN)
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self._wake = wake_read
        self._epoll.register(wake_read, select.EPOLLIN)
        # Only the next manager may end it, when its own manager is dead.
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def add_manager_pipe(self, descriptor: int, stream: str) -> None:
        """Read a pipe of the manager or of its helper processes.

        Args:
            descriptor: Its reading end.
            stream: The name of the stream that it belongs to.
        """
        self._add(_Input(descriptor, ManagerStream(), self._writers[stream]))

    def _add(self, source: _Input) -> None:
        self._inputs[source.descriptor] = source
        self._epoll.register(source.descriptor, select.EPOLLIN)

    def run(self) -> None:
        """Relay until the manager has closed its output, or everyone who could print is gone."""
        while not self._is_over:
            ready = self._epoll.poll(self._timeout())
            now = time.monotonic()
            for descriptor, _ in ready:
                if descriptor in self._inputs:
                    self._read(self._inputs[descriptor], now)
                elif descriptor == self._wake:
                    os.read(self._wake, 64)
                else:
                    self._receive()
            self._flush_late_lines(now)
            self._report_dropped(now)
        self._finish()

    @property
    def _is_over(self) -> bool:
        return self._is_closing or self._replaced or (self._control is None and not self._inputs)

    def _timeout(self) -> float | None:
        times = [each.flush_at() for each in self._inputs.values()]
        due = [each for each in (*times, self._report_at) if each is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _read(self, source: _Input, now: float) -> bool:
        try:
            found = source.read(now)
        except EOFError:
            self._remove(source, now)
            return False
        if found and self._report_at is None and self._control is not None:
            self._report_at = now + REPORT_INTERVAL
        return found

    def _remove(self, source: _Input, now: float) -> None:
        source.flush(now)
        self._epoll.unregister(source.descriptor)
        os.close(source.descriptor)
        del self._inputs[source.descriptor]
        if source.path:
            with contextlib.suppress(OSError):
                os.unlink(source.path)

    def _flush_late_lines(self, now: float) -> None:
        for source in self._inputs.values():
            due = source.flush_at()
            if due is not None and due <= now:
                source.flush(now)

    # -- the manager -----------------------------------------------------------------------------

    def _receive(self) -> None:
        while self._control is not None:
            try:
                packet, descriptors, *_ = socket.recv_fds(self._control, MAX_MESSAGE, MAX_PIPES)
            except BlockingIOError:
                return
            except OSError:
                packet, descriptors = b'', []
            if not packet:  # the manager is dead; the next one will have a relay of its own
                self._epoll.unregister(self._control)
                self._control.close()
                self._control = self._report_at = None
                return
            name, *arguments = marshal.loads(packet)
            if descriptors:
                arguments.append(descriptors)
            self._commands[name](*arguments)

    def _send(self, *message: Any) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(marshal.dumps(message))

    def _watch(
        self, record: str, label: str, paths: dict[str, str], descriptors: Sequence[int] = ()
    ) -> None:
        """Read the pipes of a worker.

        Args:
            record: The path of its liveness record, which identifies it.
            label: Its name.
            paths: Its pipes, by the name of the stream.
            descriptors: Their reading ends.
        """
        if any(each.path in paths.values() for each in self._inputs.values()):
            for descriptor in descriptors:  # a new manager does not know that they are read
                os.close(descriptor)
            return
        worker = self._workers[record] = WorkerOutput(label)
        for (stream, path), descriptor in zip(paths.items(), descriptors, strict=True):
            writer = self._writers[stream]
            self._add(_Input(descriptor, WorkerStream(worker), writer, path, worker))

    def _ended(self, record: str, request: int) -> None:
        """Read the rest of a dead worker's output, and send its last lines.

        Its child processes may live on and print.

        Args:
            record: As above.
            request: Its number, for the answer; 0: none is wanted.
        """
        now = time.monotonic()
        worker = self._workers.get(record) or WorkerOutput('')
        for source in [each for each in self._inputs.values() if each.worker is worker]:
            # One read takes all that a pipe holds; a child process may print for ever.
            for _ in range(2):
                if not self._read(source, now):
                    break
            if source.descriptor in self._inputs:
                source.flush(now)
        self._report_dropped(now, at_once=True)
        if request:
            self._send('last_lines', request, list(worker.last_lines))
        self._workers.pop(record, None)
        self._reported.pop(record, None)

    def _close(self) -> None:
        self._is_closing = True

    def _report_dropped(self, now: float, *, at_once: bool = False) -> None:
        """Report how many more lines were dropped, by worker, and in all (''). ``now``: s."""
        if not at_once and (self._report_at is None or now < self._report_at):
            return
        self._report_at = None
        counts = {path: each.limit.dropped for path, each in self._workers.items()}
        counts[''] = sum(each.dropped for each in {*self._writers.values()})
        labels = {path: each.label for path, each in self._workers.items()}
        for path, count in counts.items():
            more = count - self._reported.get(path, 0)
            if more:
                self._reported[path] = count
                self._send('dropped', labels.get(path, ''), more)

    # -- the end ---------------------------------------------------------------------------------

    def _on_sigterm(self, *_: Any) -> None:
        self._replaced = self._control is None

    def _finish(self) -> None:
        """Read what is there, and write everything, as long as it is read."""
        now = time.monotonic()
        for source in [*self._inputs.values()]:
            while not self._replaced and self._read(source, now):
                if time.monotonic() > now + NO_PROGRESS_TIMEOUT:
                    break
            if source.descriptor in self._inputs:
                source.flush(now)
        writers = {*self._writers.values()}
        end = now + (TAKEOVER_TIMEOUT if self._replaced else END_TIMEOUT)
        written, at = 0, now
        while not all(writer.is_idle for writer in writers):
            now = time.monotonic()
            total = sum(writer.written for writer in writers)
            if total != written:
                written, at = total, now
            if now > min(end, at + NO_PROGRESS_TIMEOUT):
                return
            time.sleep(0.002)


def main(arguments: Sequence[str]) -> None:
    """Run the relay.

    Args:
        arguments: Numbers of file descriptors: of the connection to the manager, of its standard
            output and error, and of the reading ends of pipes as ``stdout=7``.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError), open('/proc/self/comm', 'wb') as name:
        name.write(b'output relay')
    control, out, err, *pipes = arguments
    writers = {STDOUT: StreamWriter(int(out))}
    writers[STDERR] = writers[STDOUT] if err == out else StreamWriter(int(err))
    relay = Relay(socket.socket(fileno=int(control)), writers)
    for each in pipes:
        stream, _, descriptor = each.partition('=')
        relay.add_manager_pipe(int(descriptor), stream)
    relay.run()
    os._exit(0)  # a writer's thread may be blocked
