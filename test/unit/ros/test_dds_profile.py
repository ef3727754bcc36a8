# SPDX-License-Identifier: Apache-2.0
"""The DDS profile of a process, and the choice of its transports."""

from __future__ import annotations

import os
import socket
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import attrs
import pytest

from worker_pipeline.ros import dds
from worker_pipeline.ros.dds_profile import Transports, compose

FOLDER = Path(__file__).parents[3] / 'config'
COMMON = FOLDER / 'fastdds.xml'
SPACE = '{http://www.eprosima.com}'


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Unset all DDS variables, and restore them after the test."""
    names = (
        *dds.PROFILE_VARIABLES,
        dds.RANGE,
        dds.PEERS,
        dds.TRANSPORTS,
        'RMW_FASTRTPS_USE_QOS_FROM_XML',
    )
    for name in names:
        # Set first, so that it is restored even if it was not set before.
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    monkeypatch.setattr(dds, '_is_fast_dds', lambda: True)
    monkeypatch.setattr(dds, '_is_free', lambda _number: True)


@pytest.mark.parametrize(
    ('transports', 'peers'),
    [
        (Transports(loopback=True), ['127.0.0.1']),
        (Transports(loopback=False), []),
        (Transports(loopback=False, peers=('10.0.0.1', '10.0.0.2')), ['10.0.0.1', '10.0.0.2']),
    ],
)
def test_a_profile_adds_a_transport_and_a_number_to_the_common_one(transports, peers):
    """The common settings stay, and UDP is the only transport."""
    profile = ElementTree.fromstring(compose(COMMON, transports, 47))
    assert [each.text for each in profile.iter(f'{SPACE}type')] == ['UDPv4']
    [rtps] = profile.iter(f'{SPACE}rtps')
    assert rtps.findtext(f'{SPACE}participantID') == '47'
    assert rtps.findtext(f'{SPACE}useBuiltinTransports') == 'false'
    described = {each.text for each in profile.findall(f'.//{SPACE}transport_descriptor/*')}
    used = {each.text for each in rtps.iter(f'{SPACE}transport_id')}
    assert used == described & {'udp'}
    assert profile.find(f'.//{SPACE}initialAnnouncements') is not None
    assert profile.find(f'.//{SPACE}heartbeat_period') is not None
    # Static peers are configured without participant numbers.
    assert int(profile.findtext(f'.//{SPACE}maxInitialPeersRange')) > max(dds.MANAGER_NUMBERS)
    # Otherwise ROS_AUTOMATIC_DISCOVERY_RANGE decides.
    white = [each.text for each in profile.findall(f'.//{SPACE}interfaceWhiteList/*')]
    assert white == (['127.0.0.1'] if transports.loopback else [])
    initial_peers = [each.text for each in profile.iter(f'{SPACE}address')][len(white) :]
    assert set(initial_peers) == ({'127.0.0.1', *peers} if peers else set())
    # With known peers it does not listen to multicast.
    assert (profile.find(f'.//{SPACE}metatrafficUnicastLocatorList') is None) == (not peers)


def test_a_new_participant_is_announced_last_to_the_nodes_that_started_first():
    """They answer first, and it cannot receive before its announcement is sent to all."""
    transports = Transports(loopback=False, peers=('10.0.0.1',))
    profile = ElementTree.fromstring(compose(COMMON, transports, domain=1))
    locators = profile.findall(f'.//{SPACE}initialPeersList//{SPACE}udpv4')
    found = [(each.findtext(f'{SPACE}address'), each.findtext(f'{SPACE}port')) for each in locators]
    assert len(found) == len(set(found)) == 2 * (max(dds.MANAGER_NUMBERS) + 2)
    assert found[-4:] == [
        ('10.0.0.1', '7662'),
        ('127.0.0.1', '7662'),
        ('10.0.0.1', '7660'),
        ('127.0.0.1', '7660'),
    ]


def test_endpoints_allocate_next_to_nothing_in_advance():
    """Nearly none of a stage's endpoints ever holds a sample; 100 for each took 1.7 MB a stage."""
    profile = ElementTree.fromstring(compose(COMMON, Transports(loopback=True)))
    for kind in ('data_writer', 'data_reader'):
        [endpoint] = profile.iter(f'{SPACE}{kind}')
        [topic] = endpoint.findall(f'{SPACE}topic')
        path = f'{SPACE}resourceLimitsQos/{SPACE}allocated_samples'
        assert topic.findtext(path) == '1'


def test_the_writers_heartbeat_is_named_as_in_the_version_of_fast_dds():
    """Fast DDS rejects a file with an unknown name."""
    for version, name in ((2, 'heartbeatPeriod'), (3, 'heartbeat_period')):
        profile = compose(COMMON, Transports(loopback=True), version=version)
        [writer] = ElementTree.fromstring(profile).iter(f'{SPACE}data_writer')
        assert [each.tag for each in writer.find(f'{SPACE}times')] == [f'{SPACE}{name}']


@pytest.mark.parametrize(
    ('variables', 'seconds'),
    [
        ({}, '5'),
        ({dds.RANGE: 'SUBNET'}, '20'),
        ({dds.PEERS: '10.0.0.1'}, '20'),
    ],
)
def test_a_manager_has_a_longer_lease_across_machines(variables, seconds, monkeypatch):
    """A network link may recover, unlike a dead worker."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = dds.apply_defaults(FOLDER)
    assert settings is not None
    for transports, expected in ((settings.manager, seconds), (settings.worker, '5')):
        profile = ElementTree.fromstring(compose(COMMON, transports))
        [lease] = profile.iter(f'{SPACE}leaseDuration')
        assert lease.findtext(f'{SPACE}sec') == expected


def test_a_profile_may_have_no_number():
    """As for a node outside a pipeline."""
    assert 'participantID' not in compose(COMMON, Transports(loopback=True))


@pytest.mark.parametrize(
    ('variables', 'expected'),
    [
        ({}, Transports(loopback=True)),
        ({dds.RANGE: 'LOCALHOST'}, Transports(loopback=True)),
        ({dds.RANGE: 'SUBNET'}, Transports(loopback=False)),
        ({dds.RANGE: 'SYSTEM_DEFAULT'}, Transports(loopback=False)),
        (
            {dds.PEERS: '10.0.0.1;localhost;'},
            Transports(loopback=False, peers=('10.0.0.1', '127.0.0.1')),
        ),
        # In this range rmw_fastrtps handles static peers.
        ({dds.RANGE: 'SUBNET', dds.PEERS: '10.0.0.1'}, Transports(loopback=False)),
        # In this range rmw_fastrtps ignores the variable, and would add shared memory.
        ({dds.TRANSPORTS: 'UDPv4'}, Transports(loopback=True)),
    ],
)
def test_the_discovery_range_selects_the_transports(variables, expected, monkeypatch):
    """Of the manager and of its workers."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = dds.apply_defaults(FOLDER)
    assert settings is not None
    assert settings.worker == expected
    assert attrs.evolve(settings.manager, lease=expected.lease) == expected
    assert os.environ[dds.RANGE] == variables.get(dds.RANGE, 'LOCALHOST')


def resolving(monkeypatch, failures: int, found: list[str]) -> None:
    """Have names resolved after a number of failures, without a resolver; note the attempts."""

    def look_up(name: str) -> str:
        found.append(name)
        if len(found) <= failures:
            raise socket.gaierror(socket.EAI_AGAIN, 'Temporary failure in name resolution')
        return '10.0.0.7'

    monkeypatch.setattr(dds.socket, 'gethostbyname', look_up)
    monkeypatch.setattr(dds, 'PEER_PERIOD', 0.0)


def test_a_static_peer_may_get_its_address_late(monkeypatch, capsys):
    """As at boot, before the network is up."""
    attempts: list[str] = []
    resolving(monkeypatch, 3, attempts)
    monkeypatch.setenv(dds.PEERS, 'ground.local')
    settings = dds.apply_defaults(FOLDER)
    assert settings is not None
    assert settings.worker.peers == ('10.0.0.7',)
    assert attempts == ['ground.local'] * 4
    assert capsys.readouterr().err.count("'ground.local' has no address yet") == 1


@pytest.mark.parametrize(
    'name',
    ['a..b', 'bad name', '-x', 'x-', 'a' * 64, '::1', 'http://x', 'ä', '.'.join(['abc'] * 70)],
)
def test_a_static_peer_that_can_be_nobodys_is_refused_at_once(monkeypatch, name: str):
    """It is a mistake, unlike a name without an address; nothing is looked up."""
    attempts: list[str] = []
    resolving(monkeypatch, 0, attempts)
    monkeypatch.setenv(dds.PEERS, f'10.0.0.1;{name}')
    with pytest.raises(ValueError, match=r'ROS_STATIC_PEERS: found .*; allowed: names of hosts'):
        dds.apply_defaults(FOLDER)
    assert attempts == []


def test_a_static_peer_without_an_address_is_an_error(monkeypatch):
    """It could not be found, for now."""
    monkeypatch.setattr(dds, 'PEER_TIMEOUT', 0.0)
    monkeypatch.setenv(dds.PEERS, '10.0.0.1;nowhere.invalid')
    with pytest.raises(OSError, match=r"ROS_STATIC_PEERS: found 'nowhere\.invalid'"):
        dds.apply_defaults(FOLDER)


@pytest.mark.parametrize(
    'variables',
    [
        {dds.TRANSPORTS: 'LARGE_DATA', dds.RANGE: 'SUBNET'},
        {'FASTDDS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'},
    ],
)
def test_the_users_choice_is_respected(variables, monkeypatch):
    """Only the discovery range is set, if the user has not set it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert dds.apply_defaults(FOLDER) is None
    assert variables.items() <= os.environ.items()
    assert 'RMW_FASTRTPS_USE_QOS_FROM_XML' not in os.environ


def test_another_middleware_is_left_alone(monkeypatch):
    """A range of SYSTEM_DEFAULT would open it to the whole network."""
    monkeypatch.setattr(dds, '_is_fast_dds', lambda: False)
    assert dds.apply_defaults(FOLDER) is None


def test_a_child_process_has_the_same_settings():
    """The variables that its parent has set do not count as a choice of the user."""
    assert dds.apply_defaults(FOLDER) == dds.apply_defaults(FOLDER) is not None


@pytest.mark.parametrize(
    ('transports', 'discovery_range'),
    [
        (Transports(loopback=True), 'SYSTEM_DEFAULT'),
        (Transports(loopback=False, peers=('10.0.0.1',)), 'SYSTEM_DEFAULT'),
        (Transports(loopback=False), 'LOCALHOST'),
    ],
)
def test_a_participants_profile_is_set_only_while_it_is_created(
    transports, discovery_range, tmp_path
):
    """No file is left. LOCALHOST would add shared memory to the profile."""
    assert dds.apply_defaults(FOLDER) is not None
    before = dict(os.environ)
    with dds.participant(str(COMMON), transports, 50, tmp_path):
        [path] = {os.environ[name] for name in dds.PROFILE_VARIABLES if name in os.environ}
        assert '<participantID>50</participantID>' in Path(path).read_text()
        assert os.environ[dds.RANGE] == discovery_range
    assert list(tmp_path.iterdir()) == []
    assert dict(os.environ) == before


@pytest.mark.parametrize(('found', 'asked'), [('LOCALHOST', 1), ('SUBNET', 1), ('OFF', 0)])
def test_others_are_asked_to_answer_unless_discovery_is_off(found, asked, monkeypatch, tmp_path):
    monkeypatch.setenv(dds.RANGE, found)
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')
    calls = []
    monkeypatch.setattr(dds, 'ask_for_second_answer', lambda *numbers: calls.append(numbers))
    settings = dds.apply_defaults(FOLDER)
    assert settings is not None
    with dds.participant(str(COMMON), settings.worker, 50, tmp_path):
        assert calls == [], 'it cannot receive yet'
    assert calls == [(7, 50)] * asked


def test_the_environment_is_restored_after_an_error():
    """Such as rclpy.init's with bad arguments."""
    assert dds.apply_defaults(FOLDER) is not None
    before = dict(os.environ)
    with pytest.raises(LookupError), dds.participant(str(COMMON), Transports(loopback=True)):
        raise LookupError
    assert dict(os.environ) == before
