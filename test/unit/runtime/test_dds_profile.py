"""What the profile of a process says, and which transport it is given."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import attrs
import pytest

from worker_pipeline.runtime import dds
from worker_pipeline.runtime.dds_profile import Transports, compose

FOLDER = Path(__file__).parents[3] / 'config'
COMMON = FOLDER / 'fastdds.xml'
SPACE = '{http://www.eprosima.com}'


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Nothing of DDS is set, and nothing that a test sets stays."""
    names = (
        *dds.PROFILE_VARIABLES,
        dds.RANGE,
        dds.PEERS,
        dds.TRANSPORTS,
        'RMW_FASTRTPS_USE_QOS_FROM_XML',
    )
    for name in names:
        # Set first, so that it is put back even if it was not there before.
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
def test_a_profile_is_the_common_one_with_a_transport_and_a_number(transports, peers):
    """What is in common stays. The transport is UDP, and no other."""
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
    # Static peers are given without the numbers of their participants.
    assert int(profile.findtext(f'.//{SPACE}maxInitialPeersRange')) > max(dds.MANAGER_NUMBERS)
    # Otherwise it is left to ROS_AUTOMATIC_DISCOVERY_RANGE.
    white = [each.text for each in profile.findall(f'.//{SPACE}interfaceWhiteList/*')]
    assert white == (['127.0.0.1'] if transports.loopback else [])
    looked_for = [each.text for each in profile.iter(f'{SPACE}address')][len(white) :]
    assert looked_for == (list(dict.fromkeys(['127.0.0.1', *peers])) if peers else [])
    # Nor does it listen to multicast where it knows whom it looks for.
    assert (profile.find(f'.//{SPACE}metatrafficUnicastLocatorList') is None) == (not peers)


def test_the_heartbeat_of_writers_has_the_name_that_fast_dds_knows():
    """One that it does not know makes it refuse the whole file."""
    for version, name in ((2, 'heartbeatPeriod'), (3, 'heartbeat_period')):
        profile = compose(COMMON, Transports(loopback=True), version=version)
        [writer] = ElementTree.fromstring(profile).iter(f'{SPACE}data_writer')
        assert [each.tag for each in writer.find(f'{SPACE}times')] == [f'{SPACE}{name}']


@pytest.mark.parametrize(
    ('environment_says', 'seconds'),
    [
        ({}, '5'),
        ({dds.RANGE: 'SUBNET'}, '20'),
        ({dds.PEERS: '10.0.0.1'}, '20'),
    ],
)
def test_a_manager_is_waited_for_longer_where_a_link_may_be_cut(
    environment_says, seconds, monkeypatch
):
    """What it has not heard is kept for it so long; a worker that is gone is not waited for."""
    for name, value in environment_says.items():
        monkeypatch.setenv(name, value)
    settings = dds.apply_defaults(FOLDER)
    assert settings is not None
    for transports, expected in ((settings.manager, seconds), (settings.worker, '5')):
        profile = ElementTree.fromstring(compose(COMMON, transports))
        [lease] = profile.iter(f'{SPACE}leaseDuration')
        assert lease.findtext(f'{SPACE}sec') == expected


def test_a_number_may_be_left_to_fast_dds():
    """As for a node that is no part of a pipeline."""
    assert 'participantID' not in compose(COMMON, Transports(loopback=True))


@pytest.mark.parametrize(
    ('environment_says', 'expected'),
    [
        ({}, Transports(loopback=True)),
        ({dds.RANGE: 'LOCALHOST'}, Transports(loopback=True)),
        ({dds.RANGE: 'SUBNET'}, Transports(loopback=False)),
        ({dds.RANGE: 'SYSTEM_DEFAULT'}, Transports(loopback=False)),
        (
            {dds.PEERS: '10.0.0.1;localhost;'},
            Transports(loopback=False, peers=('10.0.0.1', '127.0.0.1')),
        ),
        # There rmw_fastrtps looks for them.
        ({dds.RANGE: 'SUBNET', dds.PEERS: '10.0.0.1'}, Transports(loopback=False)),
        # Which rmw_fastrtps does not look at in this range: it would add shared memory.
        ({dds.TRANSPORTS: 'UDPv4'}, Transports(loopback=True)),
    ],
)
def test_our_processes_talk_where_the_range_says(environment_says, expected, monkeypatch):
    """The manager as its workers."""
    for name, value in environment_says.items():
        monkeypatch.setenv(name, value)
    settings = dds.apply_defaults(FOLDER)
    assert settings is not None
    assert settings.worker == expected
    assert attrs.evolve(settings.manager, lease=expected.lease) == expected
    assert os.environ[dds.RANGE] == environment_says.get(dds.RANGE, 'LOCALHOST')


def test_a_peer_without_an_address_is_told(monkeypatch):
    """Nobody is to wonder why it is not found."""
    monkeypatch.setenv(dds.PEERS, '10.0.0.1;nowhere.invalid')
    with pytest.raises(OSError, match=r"ROS_STATIC_PEERS: found 'nowhere\.invalid'"):
        dds.apply_defaults(FOLDER)


@pytest.mark.parametrize(
    'environment_says',
    [
        {dds.TRANSPORTS: 'LARGE_DATA', dds.RANGE: 'SUBNET'},
        {'FASTDDS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'},
    ],
)
def test_the_choice_of_the_user_holds(environment_says, monkeypatch):
    """Nothing but the discovery range, if that is not set, is set beside it."""
    for name, value in environment_says.items():
        monkeypatch.setenv(name, value)
    assert dds.apply_defaults(FOLDER) is None
    assert environment_says.items() <= os.environ.items()
    assert 'RMW_FASTRTPS_USE_QOS_FROM_XML' not in os.environ


def test_another_middleware_is_left_alone(monkeypatch):
    """A range of SYSTEM_DEFAULT would have it talk to the whole network."""
    monkeypatch.setattr(dds, '_is_fast_dds', lambda: False)
    assert dds.apply_defaults(FOLDER) is None


def test_a_process_started_by_ours_has_our_settings():
    """The mission starts a manager: the profile that it set is not a choice of the user's."""
    assert dds.apply_defaults(FOLDER) == dds.apply_defaults(FOLDER) is not None


@pytest.mark.parametrize(
    ('transports', 'discovery_range'),
    [
        (Transports(loopback=True), 'SYSTEM_DEFAULT'),
        (Transports(loopback=False, peers=('10.0.0.1',)), 'SYSTEM_DEFAULT'),
        (Transports(loopback=False), 'LOCALHOST'),
    ],
)
def test_a_participant_is_made_with_its_profile_and_then_all_is_as_before(
    transports, discovery_range, tmp_path
):
    """And no file is left. LOCALHOST would add shared memory to what the profile says."""
    assert dds.apply_defaults(FOLDER) is not None
    before = dict(os.environ)
    with dds.participant(str(COMMON), transports, 50, tmp_path):
        [path] = {os.environ[name] for name in dds.PROFILE_VARIABLES if name in os.environ}
        assert '<participantID>50</participantID>' in Path(path).read_text()
        assert os.environ[dds.RANGE] == discovery_range
    assert list(tmp_path.iterdir()) == []
    assert dict(os.environ) == before


def test_all_is_as_before_also_where_making_a_participant_failed():
    """As rclpy.init does with bad arguments."""
    assert dds.apply_defaults(FOLDER) is not None
    before = dict(os.environ)
    with pytest.raises(LookupError), dds.participant(str(COMMON), Transports(loopback=True)):
        raise LookupError
    assert dict(os.environ) == before
