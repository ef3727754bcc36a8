"""What the keys do."""

from __future__ import annotations

import pytest
from support.statuses import manager, pipeline, stage, worker

from worker_pipeline.monitor.commands import ChangeState, Outcome, SetWorkers
from worker_pipeline.monitor.controls import Controls, rows_of
from worker_pipeline.monitor.model import Manager, Pipeline

# Where the lines are that ``pipeline()`` leads to.
MANAGER, CAMERA, DETECTOR, WORKER = 0, 1, 3, 5


def managers(**changes) -> list[Manager]:
    """What is known of the pipeline, with these statuses changed."""
    known = Pipeline('/airside')
    known.hear(pipeline(**changes), 0.0)
    return known.managers()


class Desk:
    """Controls with somebody at the keys. What they ask is written down."""

    def __init__(self, place: int = MANAGER, **changes) -> None:
        self.controls = Controls()
        self.now = 0.0
        self.managers = managers(**changes)
        self.press(*place * ['down'])

    def press(self, *keys: str) -> list[tuple[str, ...]]:
        """What is asked when these keys are pressed, as (service, what)."""
        asked = []
        for key in keys:
            for command in self.controls.press(key, self.managers, self.now):
                told = ''
                if isinstance(command, ChangeState):
                    told = command.label
                elif isinstance(command, SetWorkers):
                    told = f'{command.parameter}={command.count}'
                asked.append((command.service.removeprefix('/airside/'), told))
        return asked

    def answer(self, *, done: bool, text: str = 'done') -> None:
        """All that was asked is answered."""
        for command in list(self.controls.pending):
            self.controls.settle(Outcome(command, done, text), self.now)

    @property
    def selected(self) -> str:
        """The node that is selected."""
        rows = rows_of(self.managers)
        return rows[self.controls.selected(rows)].node.removeprefix('/airside/')

    @property
    def news(self) -> str:
        """What is told now."""
        news = self.controls.news(self.now)
        return news.text if news else ''


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
def test_one_line_is_selected(keys, selected):
    """The manager's at first; there is nothing above the first and below the last."""
    desk = Desk()
    assert desk.press(*keys) == []
    assert desk.selected == selected


def test_the_selection_stays_with_its_node():
    """Whatever comes before it; where it is gone, with what stands in its place."""
    desk = Desk(WORKER)
    more = [manager(), stage('a'), stage('camera'), *pipeline()[2:]]
    known = Pipeline('/airside')
    known.hear(more, 0.0)
    desk.managers = known.managers()
    assert desk.selected == 'detector/worker_1'
    known.hear(pipeline()[:5], 1.0)
    desk.managers = known.managers()
    assert desk.selected == 'detector/worker_0'


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
def test_a_key_asks_the_node_that_is_selected(place, key, asked):
    desk = Desk(place)
    assert desk.press(key) == [asked]
    desk.answer(done=True)
    assert not desk.controls.pending


@pytest.mark.parametrize(
    ('place', 'key', 'why'),
    [
        (WORKER, 'p', 'p pauses a stage or the pipeline; c takes a worker out'),
        (WORKER, 'r', 'r resumes a stage or the pipeline; c puts a worker back'),
        (WORKER, 'f', "f drops what waits in a stage's queue: select one"),
        (WORKER, 'd', 'd drains a stage or the pipeline: select one'),
        (WORKER, '+', "+ and - change the number of a stage's workers: select one"),
        (MANAGER, '-', "+ and - change the number of a stage's workers: select one"),
        (MANAGER, 'f', "f drops what waits in a stage's queue: select one"),
        (CAMERA, 'c', 'c takes a worker out, or puts it back: select one'),
        (MANAGER, 'r', 'nothing is paused'),
    ],
)
def test_a_key_that_does_nothing_for_what_is_selected_says_so(place, key, why):
    desk = Desk(place)
    assert desk.press(key) == []
    assert desk.news == why
    desk.now = 60.0
    assert desk.news == '', 'it is not told for ever'


def test_the_whole_pipeline_is_paused_only_after_a_yes():
    desk = Desk(MANAGER)
    assert desk.press('p') == []
    assert desk.controls.question.text == 'pause the whole pipeline of /airside/manager?'
    assert desk.press('n') == []
    assert (desk.controls.question, desk.news) == (None, 'not done')
    assert desk.press('p', 'up') == [], 'any other key is a no'
    assert desk.press('p', 'y') == [('manager/change_state', 'deactivate')]
    assert desk.press('y') == []


def test_resuming_the_pipeline_activates_the_manager_or_what_was_paused_alone():
    paused = Desk(MANAGER, manager=manager(state='inactive'))
    assert paused.press('r') == [('manager/change_state', 'activate')]
    alone = Desk(MANAGER, detector=stage('detector', state='inactive'))
    assert alone.press('r') == [('detector/change_state', 'activate')]


def test_a_worker_is_taken_out_and_put_back():
    """The last one only after a yes; one that stands by, starts or is paused not at all."""
    out = Desk(WORKER, detector__worker_1=worker('detector/worker_1', state='inactive'))
    assert out.press('c') == [('detector/worker_1/change_state', 'activate')]
    last = Desk(WORKER, detector__worker_0=worker('detector/worker_0', state='replacing'))
    assert last.press('c') == []
    assert last.controls.question.text.startswith('cordon detector/worker_1? It is the only one')
    assert last.press('y') == [('detector/worker_1/change_state', 'deactivate')]
    by = Desk(WORKER, detector__worker_1=worker('detector/worker_1', state='standby'))
    assert by.press('c') == []
    assert by.news == 'detector/worker_1 is standby; only one that is active can be taken out'
    paused = Desk(WORKER, detector=stage('detector', state='inactive'))
    assert paused.press('c') == []
    assert paused.news == 'detector/worker_1: its stage is inactive'


def test_plus_counts_on_from_what_was_asked_before_it_is_seen():
    """And from what is seen as soon as that is due, or after a refusal."""
    desk = Desk(DETECTOR)
    assert [told for _, told in desk.press('+', '+')] == [
        'detector.workers=3',
        'detector.workers=4',
    ]
    desk.answer(done=True)
    assert desk.press('-') == [('manager/set_parameters', 'detector.workers=3')]
    desk.answer(done=False, text='refused: no')
    assert desk.news == 'detector to 3 workers: refused: no'
    assert desk.press('+') == [('manager/set_parameters', 'detector.workers=3')]
    desk.now = 10.0
    desk.managers = managers(detector=stage('detector', workers=7))
    assert desk.press('-') == [('manager/set_parameters', 'detector.workers=6')]


def test_what_is_asked_already_is_not_asked_twice():
    desk = Desk(CAMERA)
    assert len(desk.press('p', 'p', 'p')) == 1
    desk.answer(done=True)
    assert desk.news == 'pause camera: done'
    assert len(desk.press('p')) == 1


def test_an_answer_that_was_lost_is_made_up_for_by_the_diagnostics():
    """Only after a while, as they may be older than what was asked."""
    desk = Desk(CAMERA)
    desk.press('p', 'f')
    desk.press('down', 'down', '+')
    desk.managers = managers(
        camera=stage('camera', state='inactive'), detector=stage('detector', workers=3)
    )
    assert desk.controls.seen_done(desk.managers, 1.0) == []
    done = desk.controls.seen_done(desk.managers, 3.0)
    assert [each.what for each in done] == ['pause camera', 'detector to 3 workers']
    assert [each.what for each in desk.controls.pending] == ['flush camera']


def test_all_that_may_be_asked_of_what_is_selected():
    """So that it is looked for before."""
    desk = Desk(DETECTOR)
    services = {each.service for each in desk.controls.possible(desk.managers, 0.0)}
    assert services == {
        '/airside/detector/change_state',
        '/airside/manager/set_parameters',
        '/airside/detector/flush',
        '/airside/detector/drain',
    }
    assert Controls().possible([], 0.0) == []


def test_help_and_quit():
    """Any key closes the help; q always quits."""
    desk = Desk(CAMERA)
    desk.press('?')
    assert desk.controls.shows_help
    assert desk.press('p') == []
    assert not desk.controls.shows_help
    desk.press('?', 'q')
    assert desk.controls.ended
    asked = Desk(MANAGER)
    asked.press('p', 'interrupt')
    assert asked.controls.ended


def test_before_anything_was_heard_keys_do_nothing():
    desk = Desk()
    desk.managers = []
    assert desk.press('down', 'p', 'x', 'y') == []
    assert desk.news == 'nothing was heard of a manager yet'
