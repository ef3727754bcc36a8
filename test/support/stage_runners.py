# SPDX-License-Identifier: Apache-2.0
"""A stage's runner with all that it needs in this process, and stages for it."""

from __future__ import annotations

import logging
from bdb import BdbQuit
from typing import Any, NamedTuple

from worker_pipeline import EndOfStream, Stage
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.recovery.saved_state import SavedState
from worker_pipeline.worker.stage_runner import StageRunner
from worker_pipeline.worker.stage_state import StageState


class Stamp:
    """Like a ROS message's time stamp."""

    def __init__(self, sec: int = 0, nanosec: int = 0) -> None:
        self.sec, self.nanosec = sec, nanosec


class Message:
    """Like a ROS message: with a header, and mutable."""

    def __init__(self, text: str, stamp: Stamp | None = None) -> None:
        self.header = self
        self.stamp = stamp or Stamp()
        self.text = text
        self.source = 'tick' if text in ('tick', 'end') else ''


class Plain(Stage):
    """Acts as the item requests."""

    input_type = Message
    output_type = Message

    def process(self, item: Message) -> Message | None:
        if item.text == 'raise':
            raise RuntimeError('it failed')
        if item.text == 'end':
            raise EndOfStream
        if item.text == 'nothing':
            return None
        return Message(f'{item.text}!')


class Restarted(Plain):
    """Is recreated after an exception."""

    restart_on_error = True


class Tracker:
    """Records which items were processed."""

    def __init__(self) -> None:
        self.in_work = 0
        self.log: list[int] = []

    def start_item(self, number: int) -> None:
        assert self.in_work == 0
        self.in_work = number
        self.log.append(number)

    def finish_item(self) -> None:
        assert self.in_work
        self.in_work = 0


class Messages:
    """An item is ``seconds.nanoseconds text``."""

    def deserialize(self, item: bytes) -> Any:
        stamp, text = item.decode().split(' ')
        sec, nanosec = (int(each) for each in stamp.split('.'))
        return Message(text, Stamp(sec, nanosec))

    def serialize(self, message: Any) -> bytes:
        return f'{message.stamp.sec}.{message.stamp.nanosec} {message.text}'.encode()

    def prepare(self) -> None:
        """There is nothing to."""


class Died(BaseException):
    """Stands in for SIGKILL."""


class Worker:
    """A runner and all around it."""

    def __init__(self, stage: Stage, saved: SavedState | None = None, size: int = 4) -> None:
        self.stage = stage.bind(logger=logging.getLogger('test.stage'))
        self.tracker = Tracker()
        self.recent = RecentAnswers(size)
        self.said: list[Answer] = []
        self.runner = StageRunner(
            stage,
            Messages(),
            self.tracker,
            self.recent,
            self.say,
            None if saved is None else StageState(stage, saved),
            log_error=logging.getLogger('test.worker').error,
            ends_run=(BdbQuit, Died),
        )
        self.runner.accepting = True

    def say(self, answer: Answer) -> None:
        self.said.append(answer)

    def run(self, *items: tuple[int, str]) -> list[Answer]:
        """Give it items, process them, and return its answers."""
        del self.said[:]
        for number, text in items:
            self.offer(number, text)
        self.runner.close()
        self.runner.run()
        return self.said

    def offer(self, number: int, text: str) -> None:
        self.runner.enqueue(number, f'{number}.5 {text}'.encode())


def output(number: int, text: str) -> Answer:
    return Answer(number, answers.OUTPUT, output=f'{number}.5 {text}'.encode())


class Answered(NamedTuple):
    """Kinds by number."""

    number: int
    kind: str


def kinds(said: list[Answer]) -> list[Answered]:
    return [Answered(answer.number, answer.kind) for answer in said]
