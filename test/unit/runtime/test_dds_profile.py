"""What the profile of a process says, and which transport it is given."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

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
        'FASTDDS_BUILTIN_TRANSPORTS',
        'ROS_STATIC_PEERS',
        'RMW_FASTRTPS_USE_QOS_FROM_XML',
    )
    for name in names:
        # Set first, so that it is put back even if it was not there before.
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    monkeypatch.setattr(dds, '_is_fast_dds', lambda: True)
    monkeypatch.setattr(dds, '_is_free', lambda _number: True)


@pytest.mark.parametrize('loopback', [False, True])
@pytest.mark.parametrize(('shared_memory', 'room'), [(False, 0), (True, 0), (True, 1000)])
def test_a_profile_is_the_common_one_with_transports_and_a_number(loopback, shared_memory, room):
    """What is in common stays; the transports are those asked for and no others."""
    transports = Transports(loopback, shared_memory, room)
    profile = ElementTree.fromstring(compose(COMMON, transports, 47))
    kinds = {each.text for each in profile.iter(f'{SPACE}type')}
    assert kinds == ({'SHM', 'UDPv4'} if shared_memory else {'UDPv4'})
    [rtps] = profile.iter(f'{SPACE}rtps')
    assert rtps.findtext(f'{SPACE}participantID') == '47'
    assert rtps.findtext(f'{SPACE}useBuiltinTransports') == 'false'
    described = {each.text for each in profile.findall(f'.//{SPACE}transport_descriptor/*')}
    used = {each.text for each in rtps.iter(f'{SPACE}transport_id')}
    assert used == described & {'udp', 'shared_memory'}
    assert profile.findtext(f'.//{SPACE}segment_size') == (str(room) if room else None)
    assert profile.find(f'.//{SPACE}initialAnnouncements') is not None
    assert profile.find(f'.//{SPACE}heartbeat_period') is not None
    # Static peers are given without the numbers of their participants.
    assert int(profile.findtext(f'.//{SPACE}maxInitialPeersRange')) > max(dds.MANAGER_NUMBERS)
    # Otherwise it is left to ROS_AUTOMATIC_DISCOVERY_RANGE.
    white = [each.text for each in profile.findall(f'.//{SPACE}interfaceWhiteList/*')]
    assert white == (['127.0.0.1'] if loopback else [])
    peers = [each.text for each in profile.findall(f'.//{SPACE}initialPeersList//*')]
    assert ('127.0.0.1' in peers) == loopback


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
        ({'ROS_STATIC_PEERS': '10.0.0.1'}, '20'),
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
        # Its static peers are looked for in no other range; and in this one there is shared memory.
        (
            {dds.RANGE: 'LOCALHOST', 'ROS_STATIC_PEERS': '10.0.0.1'},
            Transports(loopback=False, shared_memory=True),
        ),
    ],
)
def test_a_worker_has_no_shared_memory_where_the_range_allows(
    environment_says, expected, monkeypatch
):
    """The manager has, with room for camera frames: it talks to nodes that are not ours."""
    for name, value in environment_says.items():
        monkeypatch.setenv(name, value)
    settings = dds.apply_defaults(FOLDER)
    assert settings is not None
    assert settings.worker == expected
    assert settings.manager.shared_memory
    assert settings.manager.room > 6_900_000
    assert settings.manager.loopback == expected.loopback
    assert os.environ[dds.RANGE] == environment_says.get(dds.RANGE, 'LOCALHOST')


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA'),
        ('FASTDDS_DEFAULT_PROFILES_FILE', '/mine.xml'),
        ('FASTRTPS_DEFAULT_PROFILES_FILE', '/mine.xml'),
    ],
)
def test_the_choice_of_the_user_holds(name, value, monkeypatch):
    """Nothing but the discovery range, if that is not set, is set beside it."""
    monkeypatch.setenv(name, value)
    assert dds.apply_defaults(FOLDER) is None
    assert os.environ[name] == value
    assert 'RMW_FASTRTPS_USE_QOS_FROM_XML' not in os.environ


def test_another_middleware_is_left_alone(monkeypatch):
    """A range of SYSTEM_DEFAULT would have it talk to the whole network."""
    monkeypatch.setattr(dds, '_is_fast_dds', lambda: False)
    assert dds.apply_defaults(FOLDER) is None


def test_a_process_started_by_ours_has_our_settings():
    """The mission starts a manager: the profile that it set is not a choice of the user's."""
    assert dds.apply_defaults(FOLDER) == dds.apply_defaults(FOLDER) is not None


@pytest.mark.parametrize('loopback', [False, True])
def test_a_participant_is_made_with_its_profile_and_then_all_is_as_before(loopback, tmp_path):
    """And no file is left. LOCALHOST would add shared memory to what the profile says."""
    assert dds.apply_defaults(FOLDER) is not None
    before = dict(os.environ)
    with dds.participant(str(COMMON), Transports(loopback), 50, tmp_path):
        [path] = {os.environ[name] for name in dds.PROFILE_VARIABLES if name in os.environ}
        assert '<participantID>50</participantID>' in Path(path).read_text()
        assert os.environ[dds.RANGE] == ('SYSTEM_DEFAULT' if loopback else 'LOCALHOST')
    assert list(tmp_path.iterdir()) == []
    assert dict(os.environ) == before


def test_all_is_as_before_also_where_making_a_participant_failed():
    """As rclpy.init does with bad arguments."""
    assert dds.apply_defaults(FOLDER) is not None
    before = dict(os.environ)
    with pytest.raises(LookupError), dds.participant(str(COMMON), Transports(loopback=True)):
        raise LookupError
    assert dict(os.environ) == before
