# SPDX-License-Identifier: Apache-2.0
"""docs/reference.md agrees with a real pipeline: nothing is missing, nothing is invented."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import TransitionEvent
from rcl_interfaces.srv import DescribeParameters, ListParameters
from rclpy.qos import QoSReliabilityPolicy
from std_msgs.msg import Header
from support.configuring import flat, stage
from support.documents import REFERENCE, column, compare, section, tables
from support.manager_process import ManagerProcess
from support.observer import Observer, header

from worker_pipeline.config import NODE_FLAGS
from worker_pipeline.testing import isolated_domain, wait_for

NAMESPACE = '/airside'
HEADER, TICK = 'std_msgs/msg/Header', 'sensor_msgs/msg/TimeReference'
IMAGE = 'sensor_msgs/msg/Image'
PARAMETERS = {
    'stages': ['count', 'placed', 'picture', 'faulty', 'sum'],
    'count': stage('Counting', period=0.02, params={'items': 100_000}),
    'placed': stage('WithContext', input='count', context={'reference': 'count'}, workers=2),
    'picture': stage('Picture', input='placed'),
    'faulty': stage('Poison', input='/elsewhere', max_attempts=1),
    'sum': stage('Remembers', input='faulty'),
}
# By stage: its input's type, its output's, the row of its output.
TYPES = {
    'count': (TICK, HEADER, ' as a context'),
    'placed': (HEADER, HEADER, ''),
    'picture': (HEADER, IMAGE, ' of images'),
    'faulty': (HEADER, HEADER, ''),
    'sum': (HEADER, HEADER, ''),
}
WORKERS = {'count': 1, 'placed': 2, 'picture': 1, 'faulty': 1, 'sum': 1}
STAGES = [*TYPES]
SLOTS = [f'{name}/worker_{index}' for name in STAGES for index in range(WORKERS[name])]
NODES = ['manager', *STAGES, *SLOTS]
PARAMETER_TABLES = ("The pipeline's", "Each stage's")
ROS_TOPICS = ('/rosout', '/parameter_events')
STANDARD = ('lifecycle_msgs/', 'rcl_interfaces/', 'type_description_interfaces/')


@pytest.fixture(scope='module')
def seen(tmp_path_factory) -> Iterator[Observer]:
    """Start a pipeline and a node that observes it; the tests only observe."""
    with isolated_domain() as domain:
        observer = Observer(domain)
        manager = ManagerProcess(tmp_path_factory.mktemp('reference'), PARAMETERS, domain)
        try:
            for name in STAGES:
                observer.wait_until_active(name, WORKERS[name])
            yield observer
        finally:
            observer.close()
            manager.close()


def settle(found: Callable[[], set], documented: set, heading: str, what: str) -> None:
    """Wait until discovery is complete; then compare."""
    try:
        wait_for(lambda: found() == documented, what)
    except AssertionError:
        compare(found(), documented, heading, what)


def full(name: str) -> str:
    return name if name.startswith('/') else f'{NAMESPACE}/{name}'


def places(name: str) -> list[dict[str, str]]:
    """Return the values of a name's placeholders in this pipeline."""
    if '<node>' in name:
        return [{'<node>': each} for each in NODES]
    if '<i>' in name:
        return [
            dict(zip(('<stage>', 'worker_<i>'), each.split('/'), strict=True)) for each in SLOTS
        ]
    return [{'<stage>': each} for each in STAGES] if '<stage>' in name else [{}]


def put(text: str, place: dict[str, str]) -> str:
    for name, value in place.items():
        text = text.replace(name, value)
    return text


def plain(cell: str) -> str:
    return cell.replace('`', '')


def type_of(cell: str, name: str) -> str:
    """Return the type in a row, for one stage."""
    known = {"the input's": TYPES[name][0], "the output's": TYPES[name][1]} if name in TYPES else {}
    return known.get(cell, plain(cell))


def documented_publishers() -> set[tuple[str, ...]]:
    expected = set()
    for row in tables(REFERENCE, 'Topics')[0]:
        topic, _, kind = row['topic'].partition('` ')
        for place in places(plain(topic + row['from'])):
            name = place.get('<stage>', '')
            if plain(topic).endswith('/output') and f' {kind}'.rstrip() != TYPES[name][2]:
                continue
            node = place.get('<node>') or put(plain(row['from']), place)
            about = full(put(plain(topic), place)), type_of(row['type'], name), full(node)
            expected.add((*about, row['durability']))
    return expected


def endpoints(seen: Observer, of_topic: Callable) -> Iterator[tuple[str, str, str, str]]:
    """Yield topic, type, node and durability of the pipeline's endpoints; all are reliable."""
    for topic, _ in seen.node.get_topic_names_and_types():
        for each in of_topic(topic):
            if topic not in ROS_TOPICS and each.node_name != 'probe':
                profile = each.qos_profile
                assert profile.reliability is QoSReliabilityPolicy.RELIABLE
                durability = profile.durability.name.lower().replace('_', ' ')
                node = f'{each.node_namespace}/{each.node_name}'
                yield topic, each.topic_type, node, durability


def test_documented_and_real_publishers_agree(seen):
    """Topic, type, node and durability."""
    settle(
        lambda: {*endpoints(seen, seen.node.get_publishers_info_by_topic)},
        documented_publishers(),
        'Topics',
        'the publishers',
    )


def test_documented_and_real_subscriptions_agree(seen):
    """Topic, type and node."""
    expected = set()
    published, others = tables(REFERENCE, 'Topics')
    for row in published:
        topic = plain(row['topic'].partition('` ')[0])
        if row['to'].startswith('`'):
            expected |= {
                (
                    full(put(topic, each)),
                    type_of(row['type'], each['<stage>']),
                    full(put(plain(row['to']), each)),
                )
                for each in places(topic)
            }
        elif row['to']:
            assert row['to'].startswith('the stages that follow')
    followers = (('count', 'placed'), ('placed', 'picture'), ('faulty', 'sum'))
    for name, node in followers:
        expected.add((full(f'{name}/output'), TYPES[name][1], full(node)))
    own_input, elsewhere, *_ = others
    assert plain(own_input['topic']) == '<stage>/input'
    assert elsewhere['topic'] == 'an absolute topic'
    expected |= {(full(f'{name}/input'), TYPES[name][0], full(name)) for name in STAGES}
    expected.add(('/elsewhere', TYPES['faulty'][0], full('faulty')))

    settle(
        lambda: {each[:3] for each in endpoints(seen, seen.node.get_subscriptions_info_by_topic)},
        expected,
        'Topics',
        'the subscriptions',
    )


def test_documented_and_real_nodes_agree(seen):
    documented = {
        full(put(name, each))
        for name in column(REFERENCE, 'Nodes', 'node')
        for each in places(name)
    }

    def found() -> set[str]:
        names = (f'{space}/{name}' for name, space in seen.node.get_node_names_and_namespaces())
        return {re.sub(r'_\d{2,}$', '_<pid>', name) for name in names} - {full('probe')}

    settle(found, documented, 'Nodes', 'the nodes')


def services(seen: Observer) -> list[tuple[str, str]]:
    named = seen.node.get_service_names_and_types()
    return [(name, kind) for name, kinds in named for kind in kinds if '/probe/' not in name]


def test_documented_and_real_services_agree(seen):
    """Except those that every lifecycle node has."""
    documented = {
        (full(put(plain(row['service']), each)), plain(row['type']))
        for row in tables(REFERENCE, 'Services')[0]
        for each in places(plain(row['service']))
    }

    def found() -> set[tuple[str, str]]:
        return {each for each in services(seen) if not each[1].startswith(STANDARD)}

    settle(found, documented, 'Services', 'the services')
    documented_services = section(REFERENCE, 'Services')
    lifecycle = {
        each
        for each in re.findall(r'`(\w+)`', documented_services)
        if re.match(r'change_state|get_\w*(stat|tran)', each)
    }

    def of_lifecycles() -> set[str]:
        return {name for name, kind in services(seen) if kind.startswith('lifecycle_msgs/')}

    expected = {full(f'{node}/{name}') for node in NODES for name in lifecycle}
    settle(of_lifecycles, expected, 'Services', 'the services of a lifecycle')


def test_documented_and_real_parameters_agree(seen):
    """Those documented as live are not read-only."""
    is_live = {
        plain(row['key']): row['live'] == 'yes'
        for heading in PARAMETER_TABLES
        for row in tables(REFERENCE, heading)[0]
    }
    pipeline, of_stages = (column(REFERENCE, each, 'key') for each in PARAMETER_TABLES)
    documented = {key: is_live[key] for key in pipeline}
    documented |= {f'{name}.{key}': is_live[key] for name in STAGES for key in of_stages}
    # A parameter without a default exists only if it was set.
    documented = {
        key: live
        for key, live in documented.items()
        if '<' not in key and (key in flat(PARAMETERS) or not key.endswith('.input'))
    }
    documented['placed.context.reference'] = is_live['context.<name>']
    documented |= dict.fromkeys(
        ('count.params.items', 'faulty.params.gain', 'sum.params.seconds', 'sum.params.raise_at'),
        is_live['params.<name>'],
    )
    listed = seen.call(ListParameters, 'manager/list_parameters', ListParameters.Request())
    names = [each for each in listed.result.names if each not in NODE_FLAGS]
    request = DescribeParameters.Request(names=names)
    described = seen.call(DescribeParameters, 'manager/describe_parameters', request).descriptors
    compare({*names}, {*documented}, PARAMETER_TABLES[1], 'the parameters of the manager')
    assert {each.name: not each.read_only for each in described} == documented


def keys_of(status: DiagnosticStatus) -> set[str]:
    """Return a status's keys; those of an input, which begin with its topic, as documented."""
    return {re.sub(r'^(input|/\S+)\.', '<input>.', each.key) for each in status.values}


@pytest.mark.parametrize(
    ('heading', 'names'),
    [('Of the manager', ['manager']), ('Of a stage', STAGES), ('Of a worker', SLOTS)],
)
def test_documented_and_real_keys_of_diagnostics_agree(seen, heading, names):
    """In every status, after some time."""

    def found() -> set[str]:
        newest = seen.diagnostics[-1]
        return set.union(*(keys_of(newest[full(name)]) for name in names))

    settle(found, set(column(REFERENCE, heading, 'key')), heading, 'the keys in /diagnostics')
    assert set(seen.diagnostics[-1]) == {full(name) for name in NODES}


def test_documented_and_real_keys_of_heartbeats_agree(seen):
    wait_for(lambda: {each.name for each in seen.heartbeats} == set(SLOTS), 'all heartbeats')
    newest = {each.name: each for each in seen.heartbeats}.values()
    keys = set.union(*map(keys_of, newest))
    compare(keys, set(column(REFERENCE, 'Heartbeats', 'key')), 'Heartbeats', 'the keys')
    for each in newest:
        assert each.message in [entry.value for entry in each.values if entry.key == 'state']
        assert re.fullmatch(r'.+:\d+', each.hardware_id)


def test_documented_and_real_keys_of_outcomes_and_quarantine_agree(seen):
    """Compared for items that fail."""
    outcomes = seen.collect('faulty/worker_0/outcome', DiagnosticStatus)
    feed = seen.feeder('faulty/input')
    number = 0

    def is_received() -> bool:
        nonlocal number
        number += 1
        feed.publish(Header(stamp=header(number).stamp, frame_id='7'))
        return bool(outcomes and seen.quarantined)

    wait_for(is_received, 'an outcome, and an item in quarantine')
    outcome, item = outcomes[0], seen.quarantined[0]
    compare(keys_of(outcome), set(column(REFERENCE, 'Outcomes', 'key')), 'Outcomes', 'the keys')
    assert (outcome.name, outcome.message) == ('faulty/worker_0', 'error')
    compare(keys_of(item), set(column(REFERENCE, 'Quarantine', 'key')), 'Quarantine', 'the keys')
    assert (item.name, item.level) == ('faulty', DiagnosticStatus.ERROR)
    assert item.message == 'ValueError: cannot do seven'


def test_lifecycle_transitions_are_published(seen):
    """Published by rclpy itself."""
    events = seen.collect('faulty/worker_0/transition_event', TransitionEvent)
    wait_for(
        lambda: seen.node.count_publishers(full('faulty/worker_0/transition_event')), 'the topic'
    )
    assert seen.change_state('faulty/worker_0', 'deactivate')
    wait_for(lambda: events, 'an event')
    assert seen.change_state('faulty/worker_0', 'activate')
    seen.wait_until_active('faulty', 1)
