"""A worker's main thread: runs a stage's hooks and items, one at a time, first in, first out.

It knows no ROS. What it is given to do comes through one queue, so an order that was asked for
between two items is carried out between them: a worker told to deactivate finishes what it holds
first.
"""

from __future__ import annotations

import queue
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from worker_pipeline.context import header_of
from worker_pipeline.stage import EndOfStream, Stage


class Answers(Protocol):
    """Where the answers go: exactly one call for each item."""

    def output(self, item: bytes, message: Any) -> None:
        """The item gave this output, stamped as the item is."""

    def none(self, item: bytes) -> None:
        """The item gave no output."""

    def error(self, item: bytes, text: str) -> None:
        """The item could not be done."""

    def returned(self, item: bytes) -> None:
        """The item was not begun: the stage is not active."""

    def end_of_stream(self, item: bytes) -> None:
        """There is nothing more to come."""


class Job:
    """A call to be made on the main thread; ``done`` once it was, ``error`` if it raised."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self.done = False
        self.error: Exception | None = None

    def run(self) -> None:
        """Make the call; whoever waits is told what it raised."""
        try:
            self._call()
        except Exception as error:
            self.error = error
        self.done = True


class StageRunner:
    """Runs one stage. Other threads offer items and submit jobs; ``run`` is the main thread's."""

    def __init__(self, stage: Stage, deserialize: Callable[[bytes], Any], answers: Answers) -> None:
        self.stage = stage
        self.accepting = False  # set by the activate and deactivate jobs, so in order with items
        self.received = 0
        self.processed = 0
        self.busy_since: float | None = None
        self._deserialize = deserialize
        self._answers = answers
        self._output_type = type(stage).output_type
        self._inbox: queue.SimpleQueue[bytes | Job | None] = queue.SimpleQueue()

    @property
    def held(self) -> int:
        """How many items were received and not answered yet."""
        return self.received - self.processed

    def offer(self, item: bytes) -> None:
        """Queue a serialised item."""
        self.received += 1
        self._inbox.put(item)

    def submit(self, call: Callable[[], None]) -> Job:
        """Queue a call; returns a job to watch."""
        job = Job(call)
        self._inbox.put(job)
        return job

    def close(self) -> None:
        """Let ``run`` return after what is queued now."""
        self._inbox.put(None)

    def run(self) -> None:
        """Do what is queued until closed."""
        while True:
            entry = self._inbox.get()
            if entry is None:
                return
            if isinstance(entry, Job):
                entry.run()
            else:
                self._do(entry)
                self.processed += 1

    def _do(self, item: bytes) -> None:
        if not self.accepting:
            self._answers.returned(item)
            return
        self.busy_since = time.monotonic()
        try:
            message = self._deserialize(item)
            output = self.stage.process(message)
            if output is None:
                self._answers.none(item)
            elif not isinstance(output, self._output_type):
                raise TypeError(
                    f'process() returned {type(output).__name__}; '
                    f'allowed: {self._output_type.__name__} or None'
                )
            else:
                header_of(output).stamp = header_of(message).stamp
                self._answers.output(item, output)
        except EndOfStream:
            self._answers.end_of_stream(item)
        except Exception:
            self._answers.error(item, traceback.format_exc())
        finally:
            self.busy_since = None
