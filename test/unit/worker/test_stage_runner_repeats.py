# SPDX-License-Identifier: Apache-2.0
"""An item that a stage's runner receives again is processed once, whenever it comes again."""

from __future__ import annotations

import threading

from support.stage_runners import Plain, Worker, kinds, output

from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer, RecentAnswers


def test_an_item_that_is_received_again_before_its_answer_is_processed_once():
    """A new manager does not know yet which items its workers have received."""
    worker = Worker(Plain())
    assert kinds(worker.run((1, 'a'), (2, 'b'), (1, 'a'), (2, 'b'))) == [
        (1, answers.OUTPUT),
        (2, answers.OUTPUT),
    ]


def test_an_item_that_is_received_again_after_its_answer_is_answered_again():
    """At once, and without being processed again."""
    worker = Worker(Plain())
    worker.runner.enqueue(4, b'no message')
    worker.run((1, 'a'), (2, 'nothing'), (3, 'end'))
    del worker.said[:]
    for number in (1, 2, 3, 4):
        worker.offer(number, 'other')
    assert kinds(worker.said) == [
        (1, answers.OUTPUT),
        (2, answers.NONE),
        (3, answers.END_OF_STREAM),
        (4, answers.REFUSED),
    ]
    assert worker.said[0] == output(1, 'a!')
    assert worker.runner.unanswered == {}
    assert sorted(worker.tracker.log) == [1, 2, 3, 4]


def test_a_failed_item_that_is_received_again_is_processed_again():
    """The manager has decided to retry it."""
    worker = Worker(Plain())
    assert kinds(worker.run((1, 'raise'))) == [(1, answers.ERROR)]
    assert worker.run((1, 'a')) == [output(1, 'a!')]


def test_a_returned_item_is_processed_when_it_is_received_again():
    """An inactive worker processes nothing and records nothing."""
    worker = Worker(Plain())
    worker.runner.accepting = False
    assert worker.run((1, 'a'), (2, 'b')) == [
        Answer(1, answers.RETURNED),
        Answer(2, answers.RETURNED),
    ]
    assert worker.tracker.log == []
    worker.runner.accepting = True
    assert worker.run((1, 'a')) == [output(1, 'a!')]


def test_an_item_received_again_while_it_is_answered_is_processed_once():
    """From another thread, at any moment: it is unanswered, or among the answers, or both."""
    worker = Worker(Plain())
    moments: list[str] = []

    def again(moment: str) -> None:
        thread = threading.Thread(target=worker.offer, args=(1, 'a'))
        thread.start()
        thread.join()
        moments.append(moment)

    class Watching(RecentAnswers):
        def add(self, answer):
            again('before it is among the answers')
            super().add(answer)
            again('after')

    class Held(dict):
        def __delitem__(self, number):
            again('before it is let go')
            super().__delitem__(number)
            again('after')

    worker.runner._recent = Watching(4)
    worker.runner.unanswered = Held()
    worker.run((1, 'a'))
    assert len(moments) == 4
    assert worker.tracker.log == [1]
    assert set(worker.said) == {output(1, 'a!')}


def test_an_item_answered_while_it_is_received_again_is_processed_once(monkeypatch):
    """Between the two checks of the receiving thread."""
    worker = Worker(Plain())
    worker.offer(1, 'a')
    get = worker.recent.get

    def late(number):
        found = get(number)
        monkeypatch.setattr(worker.recent, 'get', get)
        worker.run()
        return found

    monkeypatch.setattr(worker.recent, 'get', late)
    worker.offer(1, 'a')
    worker.run()
    assert worker.tracker.log == [1]


def test_at_every_moment_an_item_is_unanswered_or_among_the_answers():
    """A hello in between reports it as received."""
    worker = Worker(Plain())
    seen = []

    class Asked(RecentAnswers):
        def add(self, answer):
            seen.append((1 in worker.runner.unanswered, self.get(1) is not None))
            super().add(answer)
            seen.append((1 in worker.runner.unanswered, self.get(1) is not None))

    worker.runner._recent = recent = Asked(4)
    worker.runner._send_answer = lambda _: seen.append(
        (1 in worker.runner.unanswered, bool(recent.get(1)))
    )
    worker.run((1, 'a'))
    assert seen == [(True, False), (True, True), (False, True)]
