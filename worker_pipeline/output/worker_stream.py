# SPDX-License-Identifier: Apache-2.0
"""What the relay does with the output of one worker: pure, it is passed the bytes and the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from worker_pipeline.output.lines import PartialLine, last_state, parts_from_last, printable
from worker_pipeline.output.rate_limit import RateLimit

# How long a line may stay without its end before it is shown, s.
PARTIAL_LINE_AFTER = 1.0
# How many of a worker's last lines are kept for the report of its death, and how long each.
LAST_LINES = 80
LAST_LINE_LENGTH = 400
# How many dropped lines are searched for them, besides blank ones: the others may be log lines.
MAX_SEARCHED = 4000


class WorkerOutput:
    """The output of one worker, standard output and standard error together.

    Args:
        label: The worker's name, ``detect_target/worker_0``.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.limit = RateLimit()
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._stamp = f'[{label}] '.encode()
        # In the lines that rclpy writes: [INFO] [time] [airside.detect_target.worker_0]: text
        self._logger_name = f'{label.replace("/", ".")}]'.encode()

    def stamped(self, line: bytes) -> bytes | None:
        """Return a line as it is to be written; None if it is beyond the limit.

        The worker's log lines name their worker already, and stay as they are.
        """
        is_log = self._is_log(line)
        text = printable(line)
        if not is_log:
            self._keep(text)
        if not self.limit.admits(len(line)):
            return None
        encoded = text.encode('utf-8', 'backslashreplace')
        return (encoded if is_log else (self._stamp + encoded).rstrip()) + b'\n'

    def drop(self, first: bytes, others: bytes) -> None:
        """Count lines that are beyond the limit, and keep the last ones.

        The others are not split into lines, except for those that are kept.

        Args:
            first: The first line.
            others: Those that follow it, with their line ends.
        """
        self.limit.drop(1 + others.count(b'\n'))
        if not self._is_log(first):
            self._keep(printable(first))
        last = [*islice(self._kept_from_last(others), LAST_LINES)]
        self.last_lines.extend(reversed(last))

    def _kept_from_last(self, lines: bytes) -> Iterator[str]:
        """Yield what is to be kept of lines, from the last to the first."""
        for part in islice(parts_from_last(lines), MAX_SEARCHED):
            line = last_state(part)[: 4 * LAST_LINE_LENGTH]  # a character has up to four bytes
            if not self._is_log(line):
                text = printable(line)[:LAST_LINE_LENGTH]
                if text.strip():
                    yield text

    def _keep(self, line: str) -> None:
        text = line[:LAST_LINE_LENGTH]
        if text.strip():
            self.last_lines.append(text)

    def _is_log(self, line: bytes) -> bool:
        return self._logger_name in line[:300]


class WorkerStream:
    """Standard output or standard error of a worker.

    Args:
        worker: The worker's output.
    """

    READ_SIZE = 1_048_576  # bytes; all that its pipe holds

    def __init__(self, worker: WorkerOutput) -> None:
        self._worker = worker
        self._line = PartialLine()
        self._begun_at = 0.0  # s

    def feed(self, data: bytes, now: float) -> Iterator[bytes]:
        """Yield the lines to be written. ``now``: s.

        Lines beyond the limit are counted without splitting them, as that costs time.
        """
        limit, line = self._worker.limit, self._line
        limit.refill(now)
        was_begun = line.is_begun
        start = 0
        while limit.has_room and (end := data.find(b'\n', start)) >= 0:
            shown = self._worker.stamped(line.end(data[start:end]))
            start = end + 1
            if shown is not None:
                yield shown
        start = self._drop_lines(data, start)
        if start or not was_begun:
            self._begun_at = now
        line.extend(data[start:])

    def _drop_lines(self, data: bytes, start: int) -> int:
        """Drop the lines that end in data[start:]; return where the next one begins."""
        end = data.find(b'\n', start)
        if end < 0:
            return start
        after = data.rfind(b'\n') + 1
        self._worker.drop(self._line.end(data[start:end]), data[end + 1 : after])
        return after

    def flush_at(self) -> float | None:
        """Return when the line that has not ended is to be shown, s; None if there is none."""
        if self._line.is_begun:
            return self._begun_at + PARTIAL_LINE_AFTER
        return None

    def flush(self, now: float) -> Iterator[bytes]:
        """Yield the line that has not ended: it is late, or its worker is dead. ``now``: s."""
        self._begun_at = now
        line = self._line.take()
        shown = self._worker.stamped(line) if line else None
        if shown is not None:
            yield shown


class ManagerStream:
    """Output of the manager or of its helper processes: unchanged, but written in whole lines."""

    READ_SIZE = 65_536  # bytes; what is read at once is written or dropped as a whole
    MAX_LINE = 65_536  # longer ones are written in parts

    def __init__(self) -> None:
        self._partial = b''
        self._begun_at = 0.0  # s

    def feed(self, data: bytes, now: float) -> Iterator[bytes]:
        """Yield the lines to be written, as one piece. ``now``: s."""
        whole, end, partial = (self._partial + data).rpartition(b'\n')
        if end:
            yield whole + end
        if not self._partial or end:
            self._begun_at = now
        self._partial = partial
        if len(partial) > self.MAX_LINE:
            yield from self.flush(now)

    def flush_at(self) -> float | None:
        """Return when the line that has not ended is to be written, s; None if there is none."""
        return self._begun_at + 0.1 if self._partial else None

    def flush(self, now: float) -> Iterator[bytes]:
        """Yield the line that has not ended. ``now``: s."""
        self._begun_at = now
        partial, self._partial = self._partial, b''
        if partial:
            yield partial
