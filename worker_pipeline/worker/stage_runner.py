# SPDX-License-Identifier: Apache-2.0
"""The main thread of a worker: runs a stage's hooks and processes its items, one at a time.

It knows neither ROS nor sockets. Items and jobs share one queue, first in, first out. A request
that arrives between two items is therefore carried out between them: a worker that is asked to
deactivate first processes the items that it has received.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from builtin_interfaces.msg import Time

from worker_pipeline.context import NANOSECONDS, header_of
from worker_pipeline.core.item import TICK
from worker_pipeline.error_text import describe_error, traceback_text
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.protocol.channel import MAX_PAYLOAD
from worker_pipeline.recovery.checked_file import DamagedFileError
from worker_pipeline.stage import EndOfStream, Stage
from worker_pipeline.worker.forked_child import exit_if_forked
from worker_pipeline.worker.stage_state import StageState


class StageFailedError(Exception):
    """An item failed, and the stage class asks for a new process then (``restart_on_error``)."""


class ItemTracker(Protocol):
    """Records which item is being processed."""

    def start_item(self, number: int) -> None:
        """Record that the processing of an item starts."""

    def finish_item(self) -> None:
        """Record that the item has been processed."""


class Codec(Protocol):
    """Converts between messages and their serialised form."""

    def deserialize(self, item: bytes) -> Any:
        """Return an input message. Raises any exception if the bytes are not one."""

    def serialize(self, message: Any) -> bytes:
        """Return an output message's bytes."""

    def prepare(self) -> None:
        """Prepare for the next item, while there is time."""


class Source(Protocol):
    """Where items come from."""

    def poll(self, *, wait: bool) -> None:
        """Enqueue arrived items; ``wait``: until an item arrives or ``wake`` is called."""

    def wake(self) -> None:
        """End the main thread's wait. Called on any thread."""


class WakeEvent:
    """A source without items of its own: other threads enqueue them."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def poll(self, *, wait: bool) -> None:
        """Wait until ``wake`` is called."""
        if wait:
            self._event.wait()
            self._event.clear()

    def wake(self) -> None:
        """End the wait."""
        self._event.set()


class Job:
    """A call to be made on the main thread.

    Once it was made, ``done`` is true, and ``error`` is its exception, of any kind.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self.done = False
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make the call."""
        worker = os.getpid()
        try:
            self._call()
        except BaseException as error:  # sys.exit() in a hook must not end the worker unexplained
            exit_if_forked(worker, error)
            self.error = error
        exit_if_forked(worker)
        self.done = True


class StageRunner:
    """Runs one stage: ``run`` on the main thread, all other methods on any thread.

    Args:
        stage: The stage.
        codec: Converts its messages.
        tracker: Records which item is being processed.
        recent: Keeps the last answers. An item that was answered is not processed again.
        send_answer: Called with every answer.
        state: The state, of a stage that remembers.
        source: Is polled for items before each item; without one other threads enqueue them.
        log_error: Writes to a log that the stage's code cannot silence.
        ends_run: The exceptions that end ``run``. Any other one of the stage fails its item, such
            as SystemExit or KeyboardInterrupt.
    """

    def __init__(
        self,
        stage: Stage,
        codec: Codec,
        tracker: ItemTracker,
        recent: RecentAnswers,
        send_answer: Callable[[Answer], None],
        state: StageState | None = None,
        source: Source | None = None,
        *,
        log_error: Callable[[str], None],
        ends_run: tuple[type[BaseException], ...] = (),
    ) -> None:
        self.stage = stage
        self.accepting = False  # set by the jobs that activate and deactivate the stage
        self.processed = 0
        self.unanswered: dict[int, bytes] = {}  # received items without an answer, by number
        self._codec = codec
        self._tracker = tracker
        self._recent = recent
        self._send_answer = send_answer
        self._state = state
        self._log_error = log_error
        self._ends_run = ends_run
        self._output_type = type(stage).output_type
        self._source: Source = WakeEvent() if source is None else source
        self._queue: deque[int | Job | None] = deque()
        self._main_thread = 0  # its identifier, once it runs
        self._worker = os.getpid()

    def enqueue(self, number: int, item: bytes) -> None:
        """Queue a serialised item. One that was sent before is not processed again."""
        # In this order: an item that is answered meanwhile is in ``recent`` before it is removed
        # from ``unanswered``.
        if number in self.unanswered:
            return
        answer = self._recent.get(number)
        if answer is not None:
            self._send_answer(answer)
        else:
            self.unanswered[number] = item
            self._put(number)

    def submit(self, call: Callable[[], None]) -> Job:
        """Queue a call. Returns a job to wait for."""
        job = Job(call)
        self._put(job)
        return job

    def close(self) -> None:
        """Make ``run`` return after everything that is queued now."""
        self._put(None)

    def _put(self, entry: int | Job | None) -> None:
        self._queue.append(entry)
        if threading.get_ident() != self._main_thread:  # the main thread itself is not waiting
            self._source.wake()

    def restore(self) -> None:
        """Restore the saved state; if there is none, or a damaged one, save the present one."""
        if self._state is None:
            return
        try:
            restored = self._state.restore()
        except DamagedFileError as error:  # it would be damaged at every later start, too
            self._log_error(f'{error}; {self._state.set_aside()}; starting without a saved state')
            restored = None
        if restored is None:
            self._state.save(self._recent)
        for answer in restored or ():
            self._recent.add(answer)

    def save_again(self) -> None:
        """Save the state as after the last answer: its file may be gone. On the main thread."""
        if self._state is not None and self.accepting:
            self._state.save(self._recent)

    def run(self) -> None:
        """Process items and jobs until closed. Raises StageFailedError."""
        self._main_thread = threading.get_ident()
        while True:
            # Also before each item, so that all received items are reported as in flight.
            self._source.poll(wait=not self._queue)
            if not self._queue:
                continue
            entry = self._queue.popleft()
            if entry is None:
                return
            if isinstance(entry, Job):
                entry.run()
            else:
                self._answer(self._process_item(entry, self.unanswered[entry]))
                self._codec.prepare()

    def _answer(self, answer: Answer) -> None:
        # In this order: at every moment the item is unanswered, or among the last answers, or both.
        self._recent.add(answer)
        del self.unanswered[answer.number]
        self._send_answer(answer)
        self.processed += 1

    def _process_item(self, number: int, item: bytes) -> Answer:
        if not self.accepting:
            return Answer(number, answers.RETURNED)
        self._tracker.start_item(number)
        try:
            message = self._codec.deserialize(item)
        except Exception as error:
            self._tracker.finish_item()
            return Answer(number, answers.REFUSED, describe_error(error))
        # Copied as numbers, before the stage can change its message: copying a message is slow.
        given = header_of(message).stamp
        stamp = given.sec, given.nanosec
        failure = 'process() failed'
        try:
            answer = self._call_stage(number, message, stamp)
            if self._state is not None:
                failure = 'saving the state failed'
                # Only then is it an answer: until it is saved, a successor would process the item.
                self._state.save(self._recent.with_answer(answer))
        except self._ends_run:
            raise  # the user has quit the debugger
        except BaseException as error:
            exit_if_forked(self._worker, error)
            answer = self._handle_error(number, stamp, failure, error)
        self._tracker.finish_item()
        return answer

    def _call_stage(self, number: int, message: Any, stamp: tuple[int, int]) -> Answer:
        # Read now: the stage may change its message.
        is_tick = getattr(message, 'source', '') == TICK
        try:
            output = self.stage.process(message)
        except EndOfStream:
            if not is_tick:
                raise
            return Answer(number, answers.END_OF_STREAM)
        exit_if_forked(self._worker)
        if output is None:
            return Answer(number, answers.NONE)
        if not isinstance(output, self._output_type):
            raise TypeError(_wrong_output(output, self._output_type))
        if not (is_tick and _is_valid(header_of(output).stamp)):
            sec, nanosec = stamp
            header_of(output).stamp = Time(sec=sec, nanosec=nanosec)
        data = self._codec.serialize(output)
        if len(data) > MAX_PAYLOAD:
            raise ValueError(f'the output has {len(data):,} bytes; allowed: {MAX_PAYLOAD:,}')
        return Answer(number, answers.OUTPUT, output=data)

    def _handle_error(
        self, number: int, stamp: tuple[int, int], failure: str, error: BaseException
    ) -> Answer:
        """Log an exception and return the answer. Raises StageFailedError.

        Args:
            number: The item's number.
            stamp: Its stamp: seconds, nanoseconds.
            failure: What has failed.
            error: The exception.
        """
        sec, nanosec = stamp
        self._log_error(
            f'{failure} on the item stamped {sec}.{nanosec:09d}:\n{traceback_text(error)}'
        )
        text = describe_error(error)
        if type(self.stage).restart_on_error:
            raise StageFailedError(text) from error
        self._undo(text)
        return Answer(number, answers.ERROR, text)

    def _undo(self, cause: str) -> None:
        """Undo the changes of a failed process() to the state. Raises StageFailedError."""
        if self._state is None:
            return
        try:
            self._state.restore()
        except self._ends_run:
            raise
        except BaseException as error:
            self._log_error(f'restore_state() failed:\n{traceback_text(error)}')
            # The state is unknown. A new process continues from the saved one.
            raise StageFailedError(
                f'restore_state() failed: {describe_error(error)}; after: {cause}'
            ) from error


def _is_valid(stamp: Any) -> bool:
    """Return whether a source has set a stamp of its own, and a valid one."""
    return stamp.sec >= 0 and stamp.nanosec < NANOSECONDS and bool(stamp.sec or stamp.nanosec)


def _wrong_output(output: Any, allowed: type) -> str:
    """Return what is wrong with an output of another type."""
    found = type(output).__name__
    if isinstance(output, type):
        found = f'the class {output.__name__}, not an instance of it'
    elif found == allowed.__name__:
        found += ', of another class of the same name'
        if type(output).__module__ == allowed.__module__:
            found += ': its module was imported twice'
    return f'process() returned {found}; allowed: {allowed.__name__} or None'
