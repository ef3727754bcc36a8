# SPDX-License-Identifier: Apache-2.0
"""A stage's state has every answered item once, whatever fails and whenever workers die."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.stage_runners import Died, Message, Plain, Restarted, Worker, kinds, output

from worker_pipeline import Stage
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.recovery.saved_state import Saved, SavedState
from worker_pipeline.worker.stage_runner import StageFailedError


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


@pytest.fixture
def saved(tmp_path):
    return SavedState(tmp_path / 'state')


@pytest.mark.parametrize('is_remembering', [False, True])
def test_with_restart_on_error_the_runner_ends_with_the_item_active(saved, is_remembering: bool):
    """The manager finds which item it was; no answer is sent."""
    worker = Worker(CountingRestarted(), saved) if is_remembering else Worker(Restarted())
    worker.runner.restore()
    with pytest.raises(StageFailedError, match=r'^RuntimeError: '):
        worker.run((1, 'a'), (2, 'raise'), (3, 'b'))
    assert worker.tracker.in_work == 2
    assert kinds(worker.said) == [(1, answers.OUTPUT)]
    assert list(worker.runner.unanswered) == [2, 3]
    if is_remembering:
        assert saved.read().state == b'a'


def test_a_state_is_saved_before_its_answer_is_sent(saved):
    """An item that was answered is in the state, regardless of later events."""
    worker = Worker(Counting(), saved)
    seen = []

    def say(answer):
        found = saved.read()
        assert found.answers[-1] == answer
        seen.append(found.state.decode())

    worker.runner._send_answer = say
    worker.runner.restore()
    worker.run((1, 'a'), (2, 'b'), (3, 'c'))
    assert seen == ['a', 'a b', 'a b c']


def test_an_answer_counts_only_when_its_state_is_saved(saved, monkeypatch):
    """Until then the item is unanswered."""
    worker = Worker(Counting(), saved)
    write = saved.write
    seen = []

    def watched(state, recent, codec):
        seen.append((1 in worker.runner.unanswered, worker.recent.get(1)))
        write(state, recent, codec)

    monkeypatch.setattr(saved, 'write', watched)
    worker.run((1, 'a'))
    assert seen == [(True, None)]
    assert worker.recent.get(1) == output(1, 'a')


def test_the_initial_state_is_saved_before_the_first_item(saved):
    """An exception at the first item can then be undone."""
    worker = Worker(Counting(), saved)
    worker.runner.restore()
    assert saved.read() == Saved(b'', [], 'bytes')
    assert kinds(worker.run((1, 'raise'), (2, 'b'))) == [(1, answers.ERROR), (2, answers.OUTPUT)]
    assert worker.stage.seen == ['b']


def test_an_exception_restores_the_state_before_the_item(saved):
    """As if the item had never been received."""
    worker = Worker(Counting(), saved)
    worker.runner.restore()
    said = worker.run((1, 'a'), (2, 'raise'), (3, 'b'))
    assert said[2] == output(3, 'a b')
    assert saved.read().state == b'a b'
    assert [answer.number for answer in saved.read().answers] == [1, 3]


def test_a_replacement_continues_with_the_saved_state_and_answers(saved):
    """An item in the state is not processed again when it is received again."""
    first = Worker(Counting(), saved)
    first.runner.restore()
    first.run((1, 'a'), (2, 'b'), (3, 'raise'))
    second = Worker(Counting(), saved)
    second.runner.restore()
    assert second.recent.all() == [output(1, 'a'), output(2, 'a b')]
    assert second.run((2, 'b'), (3, 'c')) == [output(2, 'a b'), output(3, 'a b c')]
    assert second.tracker.log == [3]


def test_a_stage_without_saved_state_restores_nothing():
    """There is no file."""
    worker = Worker(Plain())
    worker.runner.restore()
    assert worker.recent.all() == []


@pytest.mark.parametrize('broken', ['raises', 'no bytes'])
def test_a_state_that_cannot_be_saved_is_an_error_of_its_item(saved, broken: str):
    """The output is not sent: no replacement could continue from it."""

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


def test_a_state_that_finds_no_space_is_an_error_of_its_item(saved, monkeypatch):
    """The state before it is restored; the next item is processed once there is space."""
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
    assert saved.read() == Saved(b'a b', [output(1, 'a'), output(2, 'a b')], 'bytes')


def test_a_stage_whose_state_cannot_be_restored_ends_the_runner(saved):
    """Its state is unknown: the process ends with the item recorded as active."""

    class Lost(Counting):
        def restore_state(self, state):  # noqa: ARG002
            raise RuntimeError('cannot go back')

    worker = Worker(Lost(), saved)
    worker.runner.restore()
    with pytest.raises(StageFailedError) as failed:
        worker.run((1, 'raise'))
    assert str(failed.value) == (
        'restore_state() failed: RuntimeError: cannot go back; after: RuntimeError: halfway'
    )
    assert worker.tracker.in_work == 1
    assert worker.said == []


MOMENTS = ['processing', 'saving', 'replacing', 'replaced', 'answering', 'said']


@given(
    deaths=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(MOMENTS)), max_size=8),
    bad=st.sets(st.integers(1, 6), max_size=2),
)
def test_each_item_is_in_the_state_once_whenever_workers_die(deaths, bad, tmp_path_factory):
    """Replacements receive all unanswered items; repeated answers are equal."""
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

    class Dying(Counting):
        def process(self, item):
            self.number = item.stamp.sec
            output = super().process(item)
            die(self.number, 'processing')
            return output

    class DyingSavedState(SavedState):
        def write(self, state, recent, codec):
            number = stage.seen and int(stage.seen[-1][1:])
            die(number, 'saving')
            replace = type(self.path).replace

            def watched(new, path):
                die(number, 'replacing')
                replace(new, path)
                die(number, 'replaced')

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(self.path), 'replace', watched)
                super().write(state, recent, codec)

    def say(answer: Answer) -> None:
        die(answer.number, 'answering')
        assert heard.setdefault(answer.number, answer) == answer
        die(answer.number, 'said')

    for _ in range(len(deaths) + 1):
        stage = Dying()
        worker = Worker(stage, DyingSavedState(saved.path))
        worker.runner._send_answer = say
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


def test_a_damaged_state_is_set_aside_and_the_stage_starts_without(saved):
    """Otherwise no start would ever succeed."""
    first = Worker(Counting(), saved)
    first.runner.restore()
    first.run((1, 'a'))
    data = saved.path.read_bytes()
    saved.path.write_bytes(data[:-1])
    second = Worker(Counting(), saved)
    second.runner.restore()
    assert saved.read() == Saved(b'', [], 'bytes')
    assert saved.path.with_name('state.damaged').read_bytes() == data[:-1]
    assert second.run((2, 'b')) == [output(2, 'b')]
