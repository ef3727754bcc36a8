"""What diagnostics say of a pipeline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.statuses import manager, pipeline, stage, status, worker

from worker_pipeline.monitor.model import SILENCE, Level, Pipeline


def heard(*arrays, namespace: str = '/airside') -> Pipeline:
    """What is known after these arrays, one every second from 0."""
    known = Pipeline(namespace)
    for now, statuses in enumerate(arrays):
        known.hear(statuses, float(now))
    return known


def test_a_pipeline_is_a_manager_its_stages_in_their_order_and_their_workers():
    known = heard(pipeline(detector=stage('detector', level='warn', message='paused', workers=2)))
    (told,) = known.managers()
    assert (told.node, told.host, told.pid, told.age, told.spares) == (
        *('/airside/manager', 'drone', 1000, 65.0, 1),
    )
    assert [each.node for each in told.stages] == ['/airside/camera', '/airside/detector']
    detector = told.stages[1]
    assert (detector.level, detector.message, detector.wanted) == (Level.WARN, 'paused', 2)
    assert (detector.queued, detector.queue_size, detector.rate) == (0, 10, 10.0)
    assert [each.node for each in detector.workers] == [
        '/airside/detector/worker_0',
        '/airside/detector/worker_1',
    ]
    assert (detector.workers[1].pid, detector.workers[1].busy) == (2002, 42.5)


def test_what_a_status_does_not_say_is_not_known():
    """Nor what cannot be read."""
    known = heard(
        [
            status('/airside/manager', stages='?'),
            status('/airside/echo', queued='-1', rate_hz='nan', latency_p50_ms='', completed='1e3'),
            status('/airside/echo/worker_0', pid='', memory_mb='inf', busy_percent='much'),
        ]
    )
    (told,) = known.managers()
    (echo,) = told.stages
    (first,) = echo.workers
    assert {told.pid, told.age, told.spares, told.memory} == {None}
    assert {echo.queued, echo.rate, echo.latency_p50, echo.completed, echo.dropped} == {None}
    assert {first.pid, first.memory, first.busy, first.processed, first.restarts} == {None}
    assert (told.state, echo.state, first.state) == ('', '', '')


@pytest.mark.parametrize(
    'name',
    [
        *('/airside2/manager', '/other/manager', 'manager', '', '/', '/airside', '/airside/'),
        *('/airside//manager', '/airside/a/manager', 'mavros: FCU connection', '/airside/é'),
    ],
)
def test_the_diagnostics_of_other_nodes_are_left_out(name: str):
    """In an array of their own, or among ours."""
    known = Pipeline('/airside')
    assert not known.hear([manager(name)], 0.0)
    assert known.managers() == []
    known.hear([*pipeline(), status(name, queued=1)], 1.0)
    assert [each.node for each in known.managers()[0].stages] == [
        '/airside/camera',
        '/airside/detector',
    ]


def test_a_status_below_the_namespace_that_is_no_stage_nor_worker_is_left_out():
    known = heard(
        [
            *pipeline(),
            status('/airside/camera_driver', temperature=40),
            status('/airside/camera/lens', pid=5),
            status('/airside/camera_driver/worker_0', pid=5),
        ]
    )
    (told,) = known.managers()
    assert [(each.node, len(each.workers)) for each in told.stages] == [
        ('/airside/camera', 1),
        ('/airside/detector', 2),
    ]


def test_pipelines_in_other_namespaces_are_remembered_by_name():
    known = heard([manager('/north/manager')], [manager('/manager')], [status('/x/y', a=1)])
    assert known.elsewhere == {'/north', '/'}
    assert heard([manager('/manager'), status('/echo', queued=1)], namespace='/').managers()


def test_the_newest_array_holds():
    """What is not in it any more is gone."""
    known = heard(pipeline(), pipeline()[:-1], pipeline()[:3])
    (told,) = known.managers()
    assert [each.node for each in told.stages] == ['/airside/camera']
    assert told.heard == 2.0


def test_a_manager_that_says_nothing_is_silent():
    known = heard(pipeline())
    (told,) = known.managers()
    assert not told.is_silent(SILENCE)
    assert told.is_silent(SILENCE + 0.1)
    assert told.silence(SILENCE + 0.1) == SILENCE + 0.1


def test_a_manager_that_said_that_it_ends_has_ended():
    (told,) = heard(pipeline(manager=manager(state='shuttingdown'))).managers()
    assert not told.has_ended(1.0), 'it may drain still, and say so'
    assert told.has_ended(5.0)
    assert not told.is_silent(5.0)


def test_managers_of_several_machines_tell_each_of_its_own_stages():
    """Each array updates the stages of whoever sent it."""
    north = [manager(host='north'), stage('camera'), worker('camera/worker_0')]
    south = [manager(host='south'), stage('detector'), worker('detector/worker_0')]
    slower = [manager(host='south'), stage('detector', rate_hz=3)]
    told = heard(south, north, slower).managers()
    assert [(each.host, each.stages[0].node, each.heard) for each in told] == [
        ('north', '/airside/camera', 1.0),
        ('south', '/airside/detector', 2.0),
    ]
    assert told[1].stages[0].rate == 3.0


def test_a_stage_that_has_moved_is_shown_where_it_was_heard_last():
    """And who has no stage left is not shown at all."""
    north = [manager(host='north'), stage('camera'), stage('detector')]
    south = [manager(host='south'), stage('detector')]
    told = heard(north, south).managers()
    assert [[each.node for each in one.stages] for one in told] == [
        ['/airside/camera'],
        ['/airside/detector'],
    ]
    assert [each.host for each in heard(south, north).managers()] == ['north']


def test_the_next_manager_takes_the_place_of_the_one_before():
    """At once where it has the same stages; with what is left of the old configuration in time."""
    before = pipeline()
    after = [manager(pid=1001), stage('camera')]
    known = heard(before, after)
    assert [each.pid for each in known.managers()] == [1000, 1001]
    known.hear(after, SILENCE + 1.0)
    assert [each.pid for each in known.managers()] == [1001]
    assert [each.pid for each in heard(before, pipeline(manager=manager(pid=7))).managers()] == [7]


def test_what_would_steer_a_terminal_is_made_harmless():
    """Of a traceback the last line is told, which says what was raised."""
    message = 'Traceback:\n  File "x"\nValueError: \x1b[2Jgone\x07\u202e\ud800\n'
    known = heard(
        pipeline(detector=stage('detector', level='error', message=message, state='\x1b'))
    )
    detector = known.managers()[0].stages[1]
    assert detector.message == 'ValueError: ?[2Jgone???'
    assert detector.state == '?'


KEYS = st.sampled_from(['stages', 'spares', 'queued', 'pid', 'age_s', 'in_flight', 'state', ''])
NAMES = st.sampled_from(['manager', 'echo', 'echo/worker_0', 'worker_0', 'echo/worker_0/x', ''])
STATUSES = st.builds(
    lambda name, values: status(f'/airside/{name}', **values),
    NAMES | st.text(max_size=5),
    st.dictionaries(KEYS, st.text(max_size=5) | st.integers() | st.floats(), max_size=8),
)


@given(st.lists(st.lists(STATUSES, max_size=8), max_size=3))
def test_whatever_is_said_can_be_taken_in(arrays):
    """And is told only of those that have said something."""
    for told in heard(*arrays).managers():
        assert 0 <= told.heard < len(arrays)
