"""A worker's main thread: runs a stage's hooks and items, one at a time, first in, first out.

It knows no ROS and no sockets. What it is given to do comes through one queue, so an order that was
asked for between two items is carried out between them: a worker told to deactivate finishes what
it holds first.
"""

from __future__ import annotations

import threading
import traceback
from bdb import BdbQuit
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from builtin_interfaces.msg import Time

from worker_pipeline.context import NANOSECONDS, header_of
from worker_pipeline.core.item import TICK
from worker_pipeline.runtime import answers
from worker_pipeline.runtime.answers import Answer, RecentAnswers
from worker_pipeline.runtime.saved_state import SavedState
from worker_pipeline.stage import EndOfStream, Stage


class StageFailedError(Exception):
    """A stage that asks for it (``restart_on_error``) is to begin anew after an exception."""


class Signs(Protocol):
    """Where it is shown which item is in work."""

    def begin(self, number: int) -> None:
        """This one is, from now on."""

    def end(self) -> None:
        """None is any more."""


class Messages(Protocol):
    """Between bytes and messages."""

    def deserialize(self, item: bytes) -> Any:
        """An input; any exception means that the bytes are none."""

    def serialize(self, message: Any) -> bytes:
        """An output."""

    def prepare(self) -> None:
        """For the next item; nobody waits for this one any more."""


class Source(Protocol):
    """Where more to do comes from."""

    def fetch(self, *, wait: bool) -> None:
        """Offer what has come; ``wait``: as soon as something has, or somebody rings."""

    def ring(self) -> None:
        """Have the main thread wait no longer. Called on any thread."""


class Bell:
    """A source of nothing: items are offered by other threads."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def fetch(self, *, wait: bool) -> None:
        """Wait for the ring."""
        if wait:
            self._rung.wait()
            self._rung.clear()

    def ring(self) -> None:
        """End a wait."""
        self._rung.set()


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
    """Runs one stage. Other threads submit jobs, and may offer items; ``run`` is the main thread's.

    ``say`` is called with every answer, ``recent`` holds the last of them. ``saved``: where a stage
    that remembers has its state. ``source``: what is asked for items whenever there may be time.
    """

    def __init__(
        self,
        stage: Stage,
        messages: Messages,
        signs: Signs,
        recent: RecentAnswers,
        say: Callable[[Answer], None],
        saved: SavedState | None = None,
        source: Source | None = None,
    ) -> None:
        self.stage = stage
        self.accepting = False  # set by the activate and deactivate jobs, so in order with items
        self.processed = 0
        self.holding: dict[int, bytes] = {}  # by number, what was received and not answered yet
        self._messages = messages
        self._signs = signs
        self._recent = recent
        self._say = say
        self._saved = saved
        self._output_type = type(stage).output_type
        self._source: Source = Bell() if source is None else source
        self._inbox: deque[int | Job | None] = deque()
        self._main_thread = 0  # as soon as there is one

    def offer(self, number: int, item: bytes) -> None:
        """Queue a serialised item; once, whoever sends it again."""
        # In this order: it may be answered meanwhile, and is among the answers before it is let go.
        if number in self.holding:
            return
        done = self._recent.get(number)
        if done is not None:
            self._say(done)
        else:
            self.holding[number] = item
            self._put(number)

    def submit(self, call: Callable[[], None]) -> Job:
        """Queue a call; returns a job to watch."""
        job = Job(call)
        self._put(job)
        return job

    def close(self) -> None:
        """Let ``run`` return after what is queued now."""
        self._put(None)

    def _put(self, entry: int | Job | None) -> None:
        self._inbox.append(entry)
        if threading.get_ident() != self._main_thread:  # which is not waiting when it puts
            self._source.ring()

    def restore(self) -> None:
        """Go on from the state that was saved last; without any, the present one is saved."""
        if self._saved is None:
            return
        saved = self._saved.read()
        if saved is None:
            self._saved.write(self.stage.save_state(), self._recent)
            return
        self.stage.restore_state(saved.state)
        for answer in saved.answers:
            self._recent.add(answer)

    def run(self) -> None:
        """Do what is queued until closed. Raises StageFailedError."""
        self._main_thread = threading.get_ident()
        while True:
            # Before each item too: what has come counts as held, and is shown to be.
            self._source.fetch(wait=not self._inbox)
            if not self._inbox:
                continue
            entry = self._inbox.popleft()
            if entry is None:
                return
            if isinstance(entry, Job):
                entry.run()
            else:
                self._answer(self._do(entry, self.holding[entry]))
                self._messages.prepare()

    def _answer(self, answer: Answer) -> None:
        # In this order: at every moment it is held, or among the last answers, or both.
        self._recent.add(answer)
        del self.holding[answer.number]
        self._say(answer)
        self.processed += 1

    def _do(self, number: int, item: bytes) -> Answer:
        if not self.accepting:
            return Answer(number, answers.RETURNED)
        self._signs.begin(number)
        try:
            message = self._messages.deserialize(item)
        except Exception as error:
            self._signs.end()
            return Answer(number, answers.REFUSED, f'{type(error).__name__}: {error}')
        # As numbers: a copy of a message takes many times as long.
        given = header_of(message).stamp
        stamp = given.sec, given.nanosec  # whatever the stage does to its message
        try:
            answer = self._process(number, message, stamp)
            if self._saved is not None:
                # It counts as an answer only when it is saved: whoever asks before is not told.
                self._saved.write(self.stage.save_state(), self._recent.and_also(answer))
        except BdbQuit:
            raise  # whoever debugs the stage has left the debugger
        except Exception as error:
            answer = self._failed(number, stamp, error)
        self._signs.end()
        return answer

    def _process(self, number: int, message: Any, stamp: tuple[int, int]) -> Answer:
        try:
            output = self.stage.process(message)
        except EndOfStream:
            return Answer(number, answers.END_OF_STREAM)
        if output is None:
            return Answer(number, answers.NONE)
        if not isinstance(output, self._output_type):
            raise TypeError(
                f'process() returned {type(output).__name__}; '
                f'allowed: {self._output_type.__name__} or None'
            )
        if not (getattr(message, 'source', '') == TICK and _is_time(header_of(output).stamp)):
            sec, nanosec = stamp
            header_of(output).stamp = Time(sec=sec, nanosec=nanosec)
        return Answer(number, answers.OUTPUT, output=self._messages.serialize(output))

    def _failed(self, number: int, stamp: tuple[int, int], error: Exception) -> Answer:
        sec, nanosec = stamp
        self.stage.logger.error(
            f'process() failed on the item stamped {sec}.{nanosec:09d}:\n{traceback.format_exc()}'
        )
        text = f'{type(error).__name__}: {error}'
        if type(self.stage).restart_on_error:
            raise StageFailedError(text) from error
        if self._saved is not None:
            # What was done halfway is not to stay.
            saved = self._saved.read()
            if saved is not None:
                self.stage.restore_state(saved.state)
        return Answer(number, answers.ERROR, text)


def _is_time(stamp: Any) -> bool:
    """Whether a stage has set a stamp of its own, and one that can be."""
    return stamp.sec >= 0 and stamp.nanosec < NANOSECONDS and bool(stamp.sec or stamp.nanosec)
