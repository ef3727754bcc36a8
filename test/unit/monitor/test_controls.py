# SPDX-License-Identifier: Apache-2.0
"""The keys and the commands that they send."""

from __future__ import annotations

import pytest
from support.statuses import manager, pipeline, stage, worker

from worker_pipeline.monitor.commands import CommandResult, ScaleCommand, TransitionCommand
from worker_pipeline.monitor.controls import Controls, rows_of
from worker_pipeline.monitor.model import Manager, Pipeline

# The lines of ``pipeline()``.
MANAGER, CAMERA, DETECTOR, WORKER = 0, 1, 3, 5


def managers(**changes) -> list[Manager]:
    """Return the managers of the pipeline, with some statuses changed."""
    known = Pipeline('/airside')
    known.update(pipeline(**changes), 0.0)
    return known.managers()


class User:
    """Controls with a user; the keys are given to ``press``."""

    def __init__(self, place: int = MANAGER, **changes) -> None:
        self.controls = Controls()
        self.now = 0.0
        self.managers = managers(**changes)
        self.press(*place * ['down'])

    def press(self, *keys: str) -> list[tuple[str, ...]]:
        """Press keys, and return the commands they send, as (service, argument)."""
        asked = []
        for key in keys:
            for command in self.controls.press(key, self.managers, self.now):
                argument = ''
                if isinstance(command, TransitionCommand):
                    argument = command.label
                elif isinstance(command, ScaleCommand):
                    argument = f'{command.parameter}={command.count}'
                asked.append((command.service.removeprefix('/airside/'), argument))
        return asked

    def answer(self, *, done: bool, text: str = 'done') -> None:
        """Give all pending commands the same result."""
        for command in list(self.controls.pending):
            self.controls.finish(CommandResult(command, done, text), self.now)

    @property
    def selected(self) -> str:
        """Return the selected node."""
        rows = rows_of(self.managers)
        return rows[self.controls.selected(rows)].node.removeprefix('/airside/')

    @property
    def message(self) -> str:
        """Return the present message."""
        notice = self.controls.notice(self.now)
        return notice.text if notice else ''


@pytest.mark.parametrize(
    ('keys', 'selected'),
    [
        ([], 'manager'),
        (['down'], 'camera'),
        (['j', 'j', 'k'], 'camera'),
        (['up'], 'manager'),
        (['end'], 'detector/worker_1'),
        (['end', 'down', 'up'], 'detector/worker_0'),
        (['page down'], 'detector/worker_1'),
        (['end', 'home', 'down'], 'camera'),
    ],
)
def test_the_arrow_keys_select_a_line(keys, selected):
    """The manager's at first; the selection stops at the first line and the last."""
    user = User()
    assert user.press(*keys) == []
    assert user.selected == selected


def test_the_selection_stays_with_its_node():
    """Also when lines above it appear; if its node is gone, the line in its place is selected."""
    user = User(WORKER)
    more = [manager(), stage('a'), stage('camera'), *pipeline()[2:]]
    known = Pipeline('/airside')
    known.update(more, 0.0)
    user.managers = known.managers()
    assert user.selected == 'detector/worker_1'
    known.update(pipeline()[:5], 1.0)
    user.managers = known.managers()
    assert user.selected == 'detector/worker_0'


@pytest.mark.parametrize(
    ('place', 'key', 'asked'),
    [
        (CAMERA, 'p', ('camera/change_state', 'deactivate')),
        (CAMERA, 'r', ('camera/change_state', 'activate')),
        (DETECTOR, '+', ('manager/set_parameters', 'detector.workers=3')),
        (DETECTOR, '=', ('manager/set_parameters', 'detector.workers=3')),
        (DETECTOR, '-', ('manager/set_parameters', 'detector.workers=1')),
        (DETECTOR, 'f', ('detector/flush', '')),
        (DETECTOR, 'd', ('detector/drain', '')),
        (MANAGER, 'd', ('manager/drain', '')),
        (WORKER, 'c', ('detector/worker_1/change_state', 'deactivate')),
    ],
)
def test_a_key_sends_a_command_to_the_selected_node(place, key, asked):
    user = User(place)
    assert user.press(key) == [asked]
    user.answer(done=True)
    assert not user.controls.pending


@pytest.mark.parametrize(
    ('place', 'key', 'why'),
    [
        (WORKER, 'p', 'p pauses a stage or the pipeline; c cordons a worker'),
        (WORKER, 'r', 'r resumes a stage or the pipeline; c uncordons a worker'),
        (WORKER, 'f', "f drops the items in a stage's queue: select one"),
        (WORKER, 'd', 'd drains a stage or the pipeline: select one'),
        (WORKER, '+', "+ and - change the number of a stage's workers: select one"),
        (MANAGER, '-', "+ and - change the number of a stage's workers: select one"),
        (MANAGER, 'f', "f drops the items in a stage's queue: select one"),
        (CAMERA, 'c', 'c cordons or uncordons a worker: select one'),
        (MANAGER, 'r', 'nothing is paused'),
    ],
)
def test_a_key_that_does_not_apply_to_the_selected_node_says_so(place, key, why):
    user = User(place)
    assert user.press(key) == []
    assert user.message == why
    user.now = 60.0
    assert user.message == '', 'messages disappear'


def test_pausing_the_whole_pipeline_needs_confirmation():
    user = User(MANAGER)
    assert user.press('p') == []
    assert user.controls.question.text == 'pause the whole pipeline of /airside/manager?'
    assert user.press('n') == []
    assert (user.controls.question, user.message) == (None, 'not done')
    assert user.press('p', 'up') == [], 'any other key means no'
    assert user.press('p', 'y') == [('manager/change_state', 'deactivate')]
    assert user.press('y') == []


def test_resuming_the_pipeline_activates_the_manager_or_the_paused_stages():
    paused = User(MANAGER, manager=manager(state='inactive'))
    assert paused.press('r') == [('manager/change_state', 'activate')]
    alone = User(MANAGER, detector=stage('detector', state='inactive'))
    assert alone.press('r') == [('detector/change_state', 'activate')]


def test_a_worker_is_cordoned_and_uncordoned():
    """The last active one only after confirmation; standbys and paused workers never."""
    out = User(WORKER, detector__worker_1=worker('detector/worker_1', state='inactive'))
    assert out.press('c') == [('detector/worker_1/change_state', 'activate')]
    last = User(WORKER, detector__worker_0=worker('detector/worker_0', state='replacing'))
    assert last.press('c') == []
    question = last.controls.question.text
    assert question.startswith('cordon detector/worker_1? It is the only active worker')
    assert last.press('y') == [('detector/worker_1/change_state', 'deactivate')]
    by = User(WORKER, detector__worker_1=worker('detector/worker_1', state='standby'))
    assert by.press('c') == []
    assert by.message == 'detector/worker_1 is standby; only an active worker can be cordoned'
    paused = User(WORKER, detector=stage('detector', state='inactive'))
    assert paused.press('c') == []
    assert paused.message == 'detector/worker_1: its stage is inactive'


def test_plus_counts_from_the_number_requested_before():
    """From the number in the diagnostics once they are up to date, or after a refusal."""
    user = User(DETECTOR)
    assert [argument for _, argument in user.press('+', '+')] == [
        'detector.workers=3',
        'detector.workers=4',
    ]
    user.answer(done=True)
    assert user.press('-') == [('manager/set_parameters', 'detector.workers=3')]
    user.answer(done=False, text='refused: no')
    assert user.message == 'detector to 3 workers: refused: no'
    assert user.press('+') == [('manager/set_parameters', 'detector.workers=3')]
    user.now = 10.0
    user.managers = managers(detector=stage('detector', workers=7))
    assert user.press('-') == [('manager/set_parameters', 'detector.workers=6')]


def test_a_pending_command_is_not_sent_twice():
    user = User(CAMERA)
    assert len(user.press('p', 'p', 'p')) == 1
    user.answer(done=True)
    assert user.message == 'pause camera: done'
    assert len(user.press('p')) == 1


def test_the_diagnostics_confirm_a_command_whose_response_was_lost():
    """Only after a while, as they may be older than the command."""
    user = User(CAMERA)
    user.press('p', 'f')
    user.press('down', 'down', '+')
    user.managers = managers(
        camera=stage('camera', state='inactive'), detector=stage('detector', workers=3)
    )
    assert user.controls.confirm(user.managers, 1.0) == []
    done = user.controls.confirm(user.managers, 3.0)
    assert [each.description for each in done] == ['pause camera', 'detector to 3 workers']
    assert [each.description for each in user.controls.pending] == ['flush camera']


def test_the_commands_of_the_selected_node_are_known_in_advance():
    """Their services can be discovered before a key is pressed."""
    user = User(DETECTOR)
    services = {each.service for each in user.controls.available(user.managers, 0.0)}
    assert services == {
        '/airside/detector/change_state',
        '/airside/manager/set_parameters',
        '/airside/detector/flush',
        '/airside/detector/drain',
    }
    assert Controls().available([], 0.0) == []


def test_help_and_quit():
    """Any key closes the help; q always quits."""
    user = User(CAMERA)
    user.press('?')
    assert user.controls.shows_help
    assert user.press('p') == []
    assert not user.controls.shows_help
    user.press('?', 'q')
    assert user.controls.ended
    waiting = User(MANAGER)
    waiting.press('p', 'interrupt')
    assert waiting.controls.ended


def test_without_a_manager_keys_do_nothing():
    user = User()
    user.managers = []
    assert user.press('down', 'p', 'x', 'y') == []
    assert user.message == 'no manager was found yet'
