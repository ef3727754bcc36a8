# SPDX-License-Identifier: Apache-2.0
"""The state of a pipeline from its diagnostics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.statuses import manager, pipeline, stage, status, worker

from worker_pipeline.monitor.model import SILENT_AFTER, Level, Pipeline


def pipeline_after(*arrays, namespace: str = '/airside') -> Pipeline:
    """Return the pipeline after these diagnostics, one array per second from 0 s."""
    known = Pipeline(namespace)
    for now, statuses in enumerate(arrays):
        known.update(statuses, float(now))
    return known


def test_a_pipeline_has_a_manager_with_stages_in_their_order_and_their_workers():
    known = pipeline_after(
        pipeline(detector=stage('detector', level='warn', message='paused', workers=2))
    )
    (found,) = known.managers()
    assert (found.node, found.host, found.pid, found.age, found.spares) == (
        *('/airside/manager', 'drone', 1000, 65.0, 1),
    )
    assert [each.node for each in found.stages] == ['/airside/camera', '/airside/detector']
    detector = found.stages[1]
    assert (detector.level, detector.message, detector.configured_workers) == (
        Level.WARN,
        'paused',
        2,
    )
    assert (detector.queued, detector.queue_size, detector.rate) == (0, 10, 10.0)
    assert [each.node for each in detector.workers] == [
        '/airside/detector/worker_0',
        '/airside/detector/worker_1',
    ]
    assert (detector.workers[1].pid, detector.workers[1].busy) == (2002, 42.5)


def test_missing_and_invalid_values_are_none():
    """The other values of the status are kept."""
    known = pipeline_after(
        [
            status('/airside/manager', stages='?'),
            status('/airside/echo', queued='-1', rate_hz='nan', latency_p50_ms='', completed='1e3'),
            status('/airside/echo/worker_0', pid='', memory_mb='inf', busy_percent='much'),
        ]
    )
    (found,) = known.managers()
    (echo,) = found.stages
    (first,) = echo.workers
    assert {found.pid, found.age, found.spares, found.memory} == {None}
    assert {echo.queued, echo.rate, echo.latency_p50, echo.completed, echo.dropped} == {None}
    assert {first.pid, first.memory, first.busy, first.processed, first.restarts} == {None}
    assert (found.state, echo.state, first.state) == ('', '', '')


@pytest.mark.parametrize(
    'name',
    [
        *('/airside2/manager', '/other/manager', 'manager', '', '/', '/airside', '/airside/'),
        *('/airside//manager', '/airside/a/manager', 'mavros: FCU connection', '/airside/é'),
    ],
)
def test_diagnostics_of_other_nodes_are_ignored(name: str):
    """In an array of their own, or among those of the pipeline."""
    known = Pipeline('/airside')
    assert not known.update([manager(name)], 0.0)
    assert known.managers() == []
    known.update([*pipeline(), status(name, queued=1)], 1.0)
    assert [each.node for each in known.managers()[0].stages] == [
        '/airside/camera',
        '/airside/detector',
    ]


def test_a_status_in_the_namespace_that_is_no_stage_and_no_worker_is_ignored():
    known = pipeline_after(
        [
            *pipeline(),
            status('/airside/camera_driver', temperature=40),
            status('/airside/camera/lens', pid=5),
            status('/airside/camera_driver/worker_0', pid=5),
        ]
    )
    (found,) = known.managers()
    assert [(each.node, len(each.workers)) for each in found.stages] == [
        ('/airside/camera', 1),
        ('/airside/detector', 2),
    ]


def test_the_namespaces_of_other_pipelines_are_collected():
    known = pipeline_after(
        [manager('/north/manager')], [manager('/manager')], [status('/x/y', a=1)]
    )
    assert known.other_namespaces == {'/north', '/'}
    assert pipeline_after(
        [manager('/manager'), status('/echo', queued=1)], namespace='/'
    ).managers()


def test_the_newest_diagnostics_replace_the_former_ones():
    """Nodes that are missing in them are gone."""
    known = pipeline_after(pipeline(), pipeline()[:-1], pipeline()[:3])
    (found,) = known.managers()
    assert [each.node for each in found.stages] == ['/airside/camera']
    assert found.received_at == 2.0


def test_a_manager_without_recent_diagnostics_is_silent():
    known = pipeline_after(pipeline())
    (found,) = known.managers()
    assert not found.is_silent(SILENT_AFTER)
    assert found.is_silent(SILENT_AFTER + 0.1)
    assert found.silence(SILENT_AFTER + 0.1) == SILENT_AFTER + 0.1


def test_a_silent_manager_whose_last_state_was_shutting_down_has_ended():
    (found,) = pipeline_after(pipeline(manager=manager(state='shuttingdown'))).managers()
    assert not found.has_ended(1.0), 'it may still be draining'
    assert found.has_ended(5.0)
    assert not found.is_silent(5.0)


def test_managers_on_several_machines_report_their_own_stages():
    """Each array updates the stages of its sender."""
    north = [manager(host='north'), stage('camera'), worker('camera/worker_0')]
    south = [manager(host='south'), stage('detector'), worker('detector/worker_0')]
    slower = [manager(host='south'), stage('detector', rate_hz=3)]
    found = pipeline_after(south, north, slower).managers()
    assert [(each.host, each.stages[0].node, each.received_at) for each in found] == [
        ('north', '/airside/camera', 1.0),
        ('south', '/airside/detector', 2.0),
    ]
    assert found[1].stages[0].rate == 3.0


def test_a_stage_is_shown_under_the_manager_that_reported_it_last():
    """A manager without a stage left is not shown."""
    north = [manager(host='north'), stage('camera'), stage('detector')]
    south = [manager(host='south'), stage('detector')]
    found = pipeline_after(north, south).managers()
    assert [[each.node for each in one.stages] for one in found] == [
        ['/airside/camera'],
        ['/airside/detector'],
    ]
    assert [each.host for each in pipeline_after(south, north).managers()] == ['north']


def test_a_restarted_manager_replaces_the_former_one():
    """At once if it has the same stages; else as soon as the former one is silent."""
    before = pipeline()
    after = [manager(pid=1001), stage('camera')]
    known = pipeline_after(before, after)
    assert [each.pid for each in known.managers()] == [1000, 1001]
    known.update(after, SILENT_AFTER + 1.0)
    assert [each.pid for each in known.managers()] == [1001]
    assert [
        each.pid for each in pipeline_after(before, pipeline(manager=manager(pid=7))).managers()
    ] == [7]


def test_control_characters_are_replaced():
    """Of a traceback only the last line is kept, which has the error."""
    message = 'Traceback:\n  File "x"\nValueError: \x1b[2Jgone\x07\u202e\ud800\n'
    known = pipeline_after(
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
def test_any_diagnostics_are_accepted(arrays):
    """Only managers that sent some appear."""
    for found in pipeline_after(*arrays).managers():
        assert 0 <= found.received_at < len(arrays)
