"""A stage's hooks and items, one at a time."""

from __future__ import annotations

import errno
import logging
import os
import threading
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline import EndOfStream, Stage
from worker_pipeline.runtime import answers
from worker_pipeline.runtime.answers import Answer, RecentAnswers
from worker_pipeline.runtime.saved_state import Saved, SavedState
from worker_pipeline.runtime.stage_runner import StageFailedError, StageRunner


class Stamp:
    def __init__(self, sec: int = 0, nanosec: int = 0) -> None:
        self.sec, self.nanosec = sec, nanosec


class Message:
    """As ROS messages are: with a header, and what is in them can be changed."""

    def __init__(self, text: str, stamp: Stamp | None = None) -> None:
        self.header = self
        self.stamp = stamp or Stamp()
        self.text = text


class Other(Message):
    pass


class Plain(Stage):
    """Does what the item says."""

    input_type = Message
    output_type = Message

    def process(self, item):
        if item.text == 'raise':
            raise RuntimeError('it failed')
        if item.text == 'end':
            raise EndOfStream
        if item.text == 'nothing':
            return None
        return Message(f'{item.text}!')


class Restarted(Plain):
    restart_on_error = True


class Counting(Stage):
    """Remembers every item."""

    input_type = Message
    output_type = Message

    def __init__(self):
        self.seen: list[str] = []

    def process(self, item):
        self.seen.append(item.text)
        if item.text.startswith('raise'):
            raise RuntimeError('halfway')
        return Message(' '.join(self.seen))

    def save_state(self):
        return ' '.join(self.seen).encode()

    def restore_state(self, state):
        self.seen = state.decode().split()


class CountingRestarted(Counting):
    restart_on_error = True


class Signs:
    """Notes what is shown."""

    def __init__(self) -> None:
        self.in_work = 0
        self.log: list[int] = []

    def begin(self, number: int) -> None:
        assert self.in_work == 0
        self.in_work = number
        self.log.append(number)

    def end(self) -> None:
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


class Worker:
    """A runner and all around it."""

    def __init__(self, stage: Stage, saved: SavedState | None = None, size: int = 4) -> None:
        self.stage = stage.bind(logger=logging.getLogger('test.stage'))
        self.signs = Signs()
        self.recent = RecentAnswers(size)
        self.said: list[Answer] = []
        self.runner = StageRunner(stage, Messages(), self.signs, self.recent, self.say, saved)
        self.runner.accepting = True

    def say(self, answer: Answer) -> None:
        self.said.append(answer)

    def run(self, *items: tuple[int, str]) -> list[Answer]:
        """Give it items and have them done; what it said."""
        del self.said[:]
        for number, text in items:
            self.offer(number, text)
        self.runner.close()
        self.runner.run()
        return self.said

    def offer(self, number: int, text: str) -> None:
        self.runner.offer(number, f'{number}.5 {text}'.encode())


def output(number: int, text: str) -> Answer:
    return Answer(number, answers.OUTPUT, output=f'{number}.5 {text}'.encode())


@pytest.fixture
def saved(tmp_path):
    return SavedState(tmp_path / 'state')


class Answered(NamedTuple):
    """Kinds by number."""

    number: int
    kind: str


def kinds(said: list[Answer]) -> list[Answered]:
    return [Answered(answer.number, answer.kind) for answer in said]


@pytest.mark.parametrize(
    ('source', 'own', 'stamped'),
    [
        ('tick', Stamp(3, 4), '3.4'),
        ('tick', Stamp(), '1.5'),
        ('tick', Stamp(-3, 4), '1.5'),
        ('tick', Stamp(3, 10**9), '1.5'),
        ('', Stamp(3, 4), '1.5'),
    ],
)
def test_only_who_is_asked_for_an_item_may_stamp_it(source: str, own: Stamp, stamped: str):
    """With the moment of capture; whatever has come keeps the stamp by which it is known."""

    class Capturing(Plain):
        def process(self, item):
            item.source = source
            return Message('taken', own)

    (answer,) = Worker(Capturing()).run((1, 'a'))
    assert answer.output.decode() == f'{stamped} taken'


# -- items ---------------------------------------------------------------------------------------


def test_items_are_done_in_the_order_in_which_they_came():
    """Whatever their numbers are; each is shown while it is in work."""
    worker = Worker(Plain())
    assert worker.run((7, 'a'), (3, 'b'), (9, 'c')) == [
        output(7, 'a!'),
        output(3, 'b!'),
        output(9, 'c!'),
    ]
    assert worker.signs.log == [7, 3, 9]
    assert worker.signs.in_work == 0
    assert worker.runner.processed == 3
    assert worker.runner.holding == {}


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
    """That says what became of it; the next one is done all the same."""
    worker = Worker(Plain())
    first, second = worker.run((1, text), (2, 'b'))
    assert (first.number, first.kind, first.text) == (1, kind, told)
    assert second == output(2, 'b!')
    assert worker.signs.in_work == 0


@pytest.mark.parametrize('data', [b'', b'1.5', b'x.y text', b'\xff\xff'])
def test_bytes_that_are_no_message_are_refused(data: bytes):
    """The stage never sees them, and it is no error of its."""
    worker = Worker(Restarted())
    worker.runner.offer(1, data)
    said = worker.run((2, 'a'))
    assert kinds(said) == [(1, answers.REFUSED), (2, answers.OUTPUT)]
    assert 'Error: ' in said[0].text
    assert worker.signs.log == [1, 2]
    assert worker.signs.in_work == 0


def test_an_output_of_another_type_is_an_error():
    """A class made from the right one is right."""

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
    """Of the stage: it put into it what does not fit."""

    class Wrong(Plain):
        def process(self, item):  # noqa: ARG002
            return Message('\udcff')

    (answer,) = Worker(Wrong()).run((1, 'a'))
    assert answer.kind == answers.ERROR
    assert answer.text.startswith('UnicodeEncodeError')


def change_in_place(message: Message) -> None:
    message.stamp.sec = 99


def put_another(message: Message) -> None:
    message.stamp = Stamp(99)


@pytest.mark.parametrize('change', [change_in_place, put_another])
@pytest.mark.parametrize('is_same', [True, False])
def test_an_output_has_its_input_s_stamp_whatever_the_stage_does(change, is_same: bool, caplog):
    """Its place in the stream hangs on it; an error is told with it as well."""

    class Changing(Plain):
        def process(self, item):
            change(item)
            if item.text == 'raise':
                raise RuntimeError
            return item if is_same else Message(item.text, Stamp(88))

    assert Worker(Changing()).run((1, 'a'), (2, 'raise'))[0] == output(1, 'a')
    assert 'process() failed on the item stamped 2.000000005:' in caplog.text


def test_an_error_is_logged_with_its_traceback(caplog):
    """Where the user looks for it."""
    Worker(Plain()).run((12, 'raise'))
    (record,) = caplog.records
    assert record.levelname == 'ERROR'
    assert record.getMessage().startswith(
        'process() failed on the item stamped 12.000000005:\nTraceback'
    )
    assert 'RuntimeError: it failed' in record.getMessage()


def test_an_item_that_comes_while_it_is_held_is_done_once():
    """A new manager does not know yet what has reached whom."""
    worker = Worker(Plain())
    assert kinds(worker.run((1, 'a'), (2, 'b'), (1, 'a'), (2, 'b'))) == [
        (1, answers.OUTPUT),
        (2, answers.OUTPUT),
    ]


def test_an_item_that_comes_after_it_was_done_is_answered_again():
    """At once, and not done again."""
    worker = Worker(Plain())
    worker.runner.offer(4, b'no message')
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
    assert worker.runner.holding == {}
    assert sorted(worker.signs.log) == [1, 2, 3, 4]


def test_an_item_that_comes_after_it_failed_is_tried_again():
    """Whoever gives it again wants it so."""
    worker = Worker(Plain())
    assert kinds(worker.run((1, 'raise'))) == [(1, answers.ERROR)]
    assert worker.run((1, 'a')) == [output(1, 'a!')]


def test_an_item_that_was_returned_is_done_when_it_comes_again():
    """An inactive worker does nothing, and shows nothing."""
    worker = Worker(Plain())
    worker.runner.accepting = False
    assert worker.run((1, 'a'), (2, 'b')) == [
        Answer(1, answers.RETURNED),
        Answer(2, answers.RETURNED),
    ]
    assert worker.signs.log == []
    worker.runner.accepting = True
    assert worker.run((1, 'a')) == [output(1, 'a!')]


def test_an_item_that_comes_while_its_answer_is_given_is_done_once():
    """By another thread, at any moment: it is held, or among the answers, or both."""
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
    worker.runner.holding = Held()
    worker.run((1, 'a'))
    assert len(moments) == 4
    assert worker.signs.log == [1]
    assert set(worker.said) == {output(1, 'a!')}


def test_an_item_that_is_answered_while_it_comes_again_is_done_once(monkeypatch):
    """Between two looks of whoever offers it."""
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
    assert worker.signs.log == [1]


def test_at_every_moment_an_item_is_held_or_answered():
    """Whoever asks in between is told of it."""
    worker = Worker(Plain())
    seen = []

    class Asked(RecentAnswers):
        def add(self, answer):
            seen.append((1 in worker.runner.holding, self.get(1) is not None))
            super().add(answer)
            seen.append((1 in worker.runner.holding, self.get(1) is not None))

    worker.runner._recent = recent = Asked(4)
    worker.runner._say = lambda _: seen.append((1 in worker.runner.holding, bool(recent.get(1))))
    worker.run((1, 'a'))
    assert seen == [(True, False), (True, True), (False, True)]


# -- orders --------------------------------------------------------------------------------------


def test_orders_are_carried_out_between_the_items():
    """One who is told to deactivate finishes what he holds first; the rest goes back."""
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


def test_an_order_that_raises_is_told_to_whoever_gave_it():
    """And nothing else ends."""
    worker = Worker(Plain())
    job = worker.runner.submit(lambda: int('no number'))
    assert worker.run((1, 'a')) == [output(1, 'a!')]
    assert job.done
    assert isinstance(job.error, ValueError)


def test_nothing_is_done_after_the_end():
    """What was queued before it is."""
    worker = Worker(Plain())
    worker.run((1, 'a'))
    worker.offer(2, 'b')
    assert kinds(worker.said) == [(1, answers.OUTPUT)]
    assert list(worker.runner.holding) == [2]


# -- one that begins anew after an exception -----------------------------------------------------


@pytest.mark.parametrize('is_remembering', [False, True])
def test_a_stage_that_is_to_begin_anew_ends_with_its_item_in_work(saved, is_remembering: bool):
    """So whoever looks at the dead sees which one it was; nobody is told of an answer."""
    worker = Worker(CountingRestarted(), saved) if is_remembering else Worker(Restarted())
    worker.runner.restore()
    with pytest.raises(StageFailedError, match=r'^RuntimeError: '):
        worker.run((1, 'a'), (2, 'raise'), (3, 'b'))
    assert worker.signs.in_work == 2
    assert kinds(worker.said) == [(1, answers.OUTPUT)]
    assert list(worker.runner.holding) == [2, 3]
    if is_remembering:
        assert saved.read().state == b'a'


# -- one that remembers --------------------------------------------------------------------------


def test_a_state_is_saved_before_its_answer_is_said(saved):
    """What was heard is in the state, whatever happens next."""
    worker = Worker(Counting(), saved)
    seen = []

    def say(answer):
        found = saved.read()
        assert found.answers[-1] == answer
        seen.append(found.state.decode())

    worker.runner._say = say
    worker.runner.restore()
    worker.run((1, 'a'), (2, 'b'), (3, 'c'))
    assert seen == ['a', 'a b', 'a b c']


def test_an_answer_counts_only_when_its_state_is_saved(saved, monkeypatch):
    """Whoever asks before is told that the item is held."""
    worker = Worker(Counting(), saved)
    write = saved.write
    seen = []

    def watched(state, recent):
        seen.append((1 in worker.runner.holding, worker.recent.get(1)))
        write(state, recent)

    monkeypatch.setattr(saved, 'write', watched)
    worker.run((1, 'a'))
    assert seen == [(True, None)]
    assert worker.recent.get(1) == output(1, 'a')


def test_the_first_state_is_saved_before_there_are_items(saved):
    """An exception at the very first one has something to go back to."""
    worker = Worker(Counting(), saved)
    worker.runner.restore()
    assert saved.read() == Saved(b'', [])
    assert kinds(worker.run((1, 'raise'), (2, 'b'))) == [(1, answers.ERROR), (2, answers.OUTPUT)]
    assert worker.stage.seen == ['b']


def test_what_was_done_halfway_does_not_stay(saved):
    """After an exception it goes on as if the item had never come."""
    worker = Worker(Counting(), saved)
    worker.runner.restore()
    said = worker.run((1, 'a'), (2, 'raise'), (3, 'b'))
    assert said[2] == output(3, 'a b')
    assert saved.read().state == b'a b'
    assert [answer.number for answer in saved.read().answers] == [1, 3]


def test_a_replacement_goes_on_with_state_and_answers(saved):
    """What is in its state is not done again, though it comes again."""
    first = Worker(Counting(), saved)
    first.runner.restore()
    first.run((1, 'a'), (2, 'b'), (3, 'raise'))
    second = Worker(Counting(), saved)
    second.runner.restore()
    assert second.recent.all() == [output(1, 'a'), output(2, 'a b')]
    assert second.run((2, 'b'), (3, 'c')) == [output(2, 'a b'), output(3, 'a b c')]
    assert second.signs.log == [3]


def test_a_stage_that_does_not_remember_restores_nothing():
    """There is no file."""
    worker = Worker(Plain())
    worker.runner.restore()
    assert worker.recent.all() == []


@pytest.mark.parametrize('broken', ['raises', 'no bytes'])
def test_a_state_that_cannot_be_told_is_an_error_of_its_item(saved, broken: str):
    """Its output is not said: nobody could go on from there."""

    class Broken(Counting):
        def save_state(self):
            if self.seen[-1:] == ['bad']:
                if broken == 'raises':
                    raise RuntimeError('no state')
                return None
            return super().save_state()

    worker = Worker(Broken(), saved)
    worker.runner.restore()
    said = worker.run((1, 'a'), (2, 'bad'), (3, 'b'))
    assert kinds(said) == [(1, answers.OUTPUT), (2, answers.ERROR), (3, answers.OUTPUT)]
    assert said[2] == output(3, 'a b')
    assert saved.read().state == b'a b'


def test_a_state_without_room_is_an_error_of_its_item(saved, monkeypatch):
    """It is as before it, and goes on when there is room."""
    worker = Worker(Counting(), saved)
    worker.runner.restore()
    worker.run((1, 'a'))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, 'write', full)
        (answer,) = worker.run((2, 'b'))
    assert answer == Answer(2, answers.ERROR, 'OSError: [Errno 28] No space left on device')
    assert worker.recent.get(2) is None
    assert worker.run((2, 'b')) == [output(2, 'a b')]
    assert saved.read() == Saved(b'a b', [output(1, 'a'), output(2, 'a b')])


def test_a_stage_that_cannot_go_back_does_not_go_on(saved):
    """It is in no state that anybody knows: its process ends, its item shown."""

    class Lost(Counting):
        def restore_state(self, state):  # noqa: ARG002
            raise RuntimeError('cannot go back')

    worker = Worker(Lost(), saved)
    worker.runner.restore()
    with pytest.raises(RuntimeError, match='cannot go back'):
        worker.run((1, 'raise'))
    assert worker.signs.in_work == 1
    assert worker.said == []


class Died(BaseException):
    """Stands in for SIGKILL."""


MOMENTS = ['processing', 'saving', 'replacing', 'replaced', 'answering', 'said']


@given(
    deaths=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(MOMENTS)), max_size=8),
    bad=st.sets(st.integers(1, 6), max_size=2),
)
def test_each_item_is_in_the_state_once_whenever_workers_die(deaths, bad, tmp_path_factory):
    """Replaced by others that are given all that was not heard of; and each answer is the same."""
    saved = SavedState(tmp_path_factory.mktemp('deaths') / 'state')
    items = [
        (number, f'raise{number}' if number in bad else f'i{number}') for number in range(1, 7)
    ]
    heard: dict[int, Answer] = {}
    due = list(deaths)

    def die(number: int, moment: str) -> None:
        if (number, moment) in due:
            due.remove((number, moment))
            raise Died

    class Mortal(Counting):
        def process(self, item):
            self.number = item.stamp.sec
            output = super().process(item)
            die(self.number, 'processing')
            return output

    class MortalSaved(SavedState):
        def write(self, state, recent):
            number = stage.seen and int(stage.seen[-1][1:])
            die(number, 'saving')
            replace = type(self._fresh).replace

            def watched(fresh, path):
                die(number, 'replacing')
                replace(fresh, path)
                die(number, 'replaced')

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(self._fresh), 'replace', watched)
                super().write(state, recent)

    def say(answer: Answer) -> None:
        die(answer.number, 'answering')
        assert heard.setdefault(answer.number, answer) == answer
        die(answer.number, 'said')

    for _ in range(len(deaths) + 1):
        stage = Mortal()
        worker = Worker(stage, MortalSaved(saved.path))
        worker.runner._say = say
        worker.runner.restore()
        try:
            # As many at a time as it has answers of, as a manager does.
            missing = [item for item in items if item[0] not in heard]
            while missing:
                worker.run(*missing[:4])
                missing = [item for item in items if item[0] not in heard]
        except Died:
            continue
        break
    good = [text for number, text in items if number not in bad]
    assert saved.read().state == ' '.join(good).encode()
    assert sorted(heard) == [1, 2, 3, 4, 5, 6]
    assert {number for number, answer in heard.items() if answer.kind == answers.ERROR} == bad
