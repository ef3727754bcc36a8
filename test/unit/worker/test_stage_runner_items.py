# SPDX-License-Identifier: Apache-2.0
"""A stage's runner processes items and jobs in order, one at a time, and answers each item once."""

from __future__ import annotations

import pytest
from support.stage_runners import Message, Plain, Restarted, Stamp, Worker, kinds, output

from worker_pipeline import EndOfStream
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.worker import stage_runner


class Other(Message):
    pass


@pytest.mark.parametrize(
    ('source', 'own', 'stamped'),
    [
        ('tick', Stamp(3, 4), '3.4'),
        ('tick', Stamp(), '1.5'),
        ('tick', Stamp(-3, 4), '1.5'),
        ('tick', Stamp(3, 10**9), '1.5'),
        ('any', Stamp(3, 4), '1.5'),
    ],
)
def test_only_a_source_may_set_the_stamp_of_its_output(source: str, own: Stamp, stamped: str):
    """The time of capture; any other output keeps the stamp of its input."""

    class Capturing(Plain):
        def process(self, item):
            item.source = 'changed by the stage'
            return Message('taken', own)

    (answer,) = Worker(Capturing()).run((1, source))
    assert answer.output.decode() == f'{stamped} taken'


class Ends(Plain):
    def process(self, _):
        raise EndOfStream


def test_only_a_source_can_end_its_stream():
    """Of any other stage it is an error on that item."""
    worker = Worker(Ends())
    first, second = worker.run((1, 'a'), (2, 'tick'))
    assert (first.kind, first.text) == (answers.ERROR, 'EndOfStream')
    assert second.kind == answers.END_OF_STREAM


def test_a_class_in_place_of_its_instance_is_named():
    class ReturnsClass(Plain):
        def process(self, _):
            return Message

    (answer,) = Worker(ReturnsClass()).run((1, 'a'))
    assert 'returned the class Message, not an instance of it; allowed: Message' in answer.text


def test_another_class_of_the_same_name_is_told_apart():
    class ReturnsOther(Plain):
        def process(self, _):
            return type('Message', (), {})()

    (answer,) = Worker(ReturnsOther()).run((1, 'a'))
    assert 'returned Message, of another class of the same name' in answer.text


def test_items_are_processed_in_the_order_of_their_arrival():
    """With any numbers; each is recorded as active meanwhile."""
    worker = Worker(Plain())
    assert worker.run((7, 'a'), (3, 'b'), (9, 'c')) == [
        output(7, 'a!'),
        output(3, 'b!'),
        output(9, 'c!'),
    ]
    assert worker.tracker.log == [7, 3, 9]
    assert worker.tracker.in_work == 0
    assert worker.runner.processed == 3
    assert worker.runner.unanswered == {}


@pytest.mark.parametrize(
    ('text', 'kind', 'told'),
    [
        ('a', answers.OUTPUT, ''),
        ('nothing', answers.NONE, ''),
        ('end', answers.END_OF_STREAM, ''),
        ('raise', answers.ERROR, 'RuntimeError: it failed'),
    ],
)
def test_each_item_has_one_answer(text: str, kind: str, told: str):
    """It states the result; the next item is processed in any case."""
    worker = Worker(Plain())
    first, second = worker.run((1, text), (2, 'b'))
    assert (first.number, first.kind, first.text) == (1, kind, told)
    assert second == output(2, 'b!')
    assert worker.tracker.in_work == 0


@pytest.mark.parametrize('data', [b'', b'1.5', b'x.y text', b'\xff\xff'])
def test_bytes_that_are_not_a_message_are_refused(data: bytes):
    """The stage never sees them, and it is not an error of the stage."""
    worker = Worker(Restarted())
    worker.runner.enqueue(1, data)
    said = worker.run((2, 'a'))
    assert kinds(said) == [(1, answers.REFUSED), (2, answers.OUTPUT)]
    assert 'Error: ' in said[0].text
    assert worker.tracker.log == [1, 2]
    assert worker.tracker.in_work == 0


def test_an_output_of_another_type_is_an_error():
    """A subclass of the output type is allowed."""

    class Wrong(Plain):
        def process(self, item):
            return Other('fine') if item.text == 'fine' else item.text

    worker = Worker(Wrong())
    first, second = worker.run((1, 'bad'), (2, 'fine'))
    assert first == Answer(
        1, answers.ERROR, 'TypeError: process() returned str; allowed: Message or None'
    )
    assert second == output(2, 'fine')


def test_an_output_that_cannot_be_serialised_is_an_error():
    """Of the stage, which has set a field to a wrong value."""

    class Wrong(Plain):
        def process(self, item):  # noqa: ARG002
            return Message('\udcff')

    (answer,) = Worker(Wrong()).run((1, 'a'))
    assert answer.kind == answers.ERROR
    assert answer.text.startswith('UnicodeEncodeError')


def test_an_output_that_is_too_large_for_the_socket_is_an_error(monkeypatch):
    """The manager would hang up on the worker, which would send it again, for ever."""
    monkeypatch.setattr(stage_runner, 'MAX_PAYLOAD', 0)
    (answer,) = Worker(Plain()).run((1, 'a'))
    assert answer.kind == answers.ERROR
    assert answer.text.endswith('bytes; allowed: 0')


def change_in_place(message: Message) -> None:
    message.stamp.sec = 99


def put_another(message: Message) -> None:
    message.stamp = Stamp(99)


@pytest.mark.parametrize('change', [change_in_place, put_another])
@pytest.mark.parametrize('is_same', [True, False])
def test_an_output_has_its_inputs_stamp_whatever_the_stage_does(change, is_same: bool, caplog):
    """Its position in the stream depends on it; errors are logged with it as well."""

    class Changing(Plain):
        def process(self, item):
            change(item)
            if item.text == 'raise':
                raise RuntimeError
            return item if is_same else Message(item.text, Stamp(88))

    assert Worker(Changing()).run((1, 'a'), (2, 'raise'))[0] == output(1, 'a')
    assert 'process() failed on the item stamped 2.000000005:' in caplog.text


def test_jobs_run_between_items_in_order():
    """On deactivation the items received before are processed; later ones are returned."""
    worker = Worker(Plain())
    seen = []

    def deactivate():
        worker.runner.accepting = False
        seen.append([answer.number for answer in worker.said])

    worker.offer(1, 'a')
    job = worker.runner.submit(deactivate)
    worker.offer(2, 'b')
    assert not job.done
    worker.runner.close()
    worker.runner.run()
    assert (job.done, job.error) == (True, None)
    assert seen == [[1]]
    assert kinds(worker.said) == [(1, answers.OUTPUT), (2, answers.RETURNED)]


def test_nothing_is_processed_after_close():
    """Items queued before it are."""
    worker = Worker(Plain())
    worker.run((1, 'a'))
    worker.offer(2, 'b')
    assert kinds(worker.said) == [(1, answers.OUTPUT)]
    assert list(worker.runner.unanswered) == [2]
