# SPDX-License-Identifier: Apache-2.0
"""The state of a stage on its way to the file and back."""

from __future__ import annotations

import threading

import pytest

from worker_pipeline import Stage
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.recovery.saved_state import SavedState
from worker_pipeline.state_codec import StateError
from worker_pipeline.worker import stage_state
from worker_pipeline.worker.stage_state import StageState


class Structured(Stage):
    """Saves what it is told."""

    state_codec = 'json'

    def __init__(self, state: object = None) -> None:
        self.state = state

    def save_state(self) -> object:
        return self.state

    def restore_state(self, state: object) -> None:
        self.state = state


class Plain(Structured):
    state_codec = 'bytes'


@pytest.fixture
def saved(tmp_path):
    return SavedState(tmp_path / 'state')


def test_saving_waits_for_a_folder_that_somebody_has_removed(tmp_path):
    """The manager makes it again; as a failure, the item would be applied a second time."""
    folder = tmp_path / 'states'
    state = StageState(Plain(b'one'), SavedState(folder / 'state'))
    timer = threading.Timer(0.05, folder.mkdir)
    timer.start()
    state.save(RecentAnswers(2))
    timer.join()
    assert SavedState(folder / 'state').read().state == b'one'


def test_saving_does_not_wait_for_ever(tmp_path, monkeypatch):
    """There may be no manager that makes the folder."""
    monkeypatch.setattr(stage_state, 'FOLDER_TIMEOUT', 0.03)
    state = StageState(Plain(b'one'), SavedState(tmp_path / 'states' / 'state'))
    with pytest.raises(FileNotFoundError):
        state.save(RecentAnswers(2))


def test_a_structure_is_restored_with_the_answers_of_its_items(saved):
    """In another process, whose stage is a new one."""
    recent = RecentAnswers(2)
    recent.add(Answer(1, answers.NONE))
    first = StageState(Structured({'seen': [1, 2]}), saved)
    assert first.restore() is None
    first.save(recent)
    assert saved.read().state == b'{"seen":[1,2]}'
    stage = Structured()
    assert StageState(stage, saved).restore() == [Answer(1, answers.NONE)]
    assert stage.state == {'seen': [1, 2]}


def test_the_size_and_the_time_of_the_last_save_are_known(saved):
    """They are shown in diagnostics."""
    stage = Plain(b'12345')
    state = StageState(stage, saved)
    assert (state.size, state.save_time) == (0, 0.0)
    state.save(RecentAnswers(1))
    assert state.size == 5
    assert state.save_time > 0


@pytest.mark.parametrize('stage', [Plain({'a': 1}), Plain(41), Structured({3: 1}), Structured()])
def test_what_cannot_be_saved_leaves_the_earlier_state(saved, stage):
    """And its figures."""
    good = StageState(Plain(b'good'), saved)
    good.save(RecentAnswers(1))
    state = StageState(stage, saved)
    with pytest.raises(StateError, match=r'^save_state\(\) returned '):
        state.save(RecentAnswers(1))
    assert saved.read().state == b'good'
    assert state.size == 0


@pytest.mark.parametrize(('written', 'read'), [(Plain, Structured), (Structured, Plain)])
def test_a_state_of_another_codec_is_refused_with_the_way_out(saved, written, read):
    """A few bytes may mean something in either."""
    StageState(written(b'5' if written is Plain else 5), saved).save(RecentAnswers(1))
    text = (
        f"the saved state was written with state_codec '{written.state_codec}'; allowed: "
        f"'{read.state_codec}', that of the class; an orderly stop"
    )
    with pytest.raises(StateError, match=text):
        StageState(read(), saved).restore()
