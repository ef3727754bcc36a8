# SPDX-License-Identifier: Apache-2.0
"""Communication with the ground over real links on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time

import pytest
from flown import configured, stamp_at
from support.vehicles import deaf_listener
from targets import cloud, message

from worker_pipeline.airside.mission.ports import free_port

pytest.importorskip('pymavlink')

from pymavlink.dialects.v20 import common

from worker_pipeline.airside import communications
from worker_pipeline.airside.communications import Communications
from worker_pipeline.airside.mavlink.link import Link
from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.simulation.ground_station import GROUND, GroundStation
from worker_pipeline.testing import wait_for

FAST = {
    'period': 0.01,
    'retry': 0.1,
    'backoff_max': 0.4,
    'link_timeout': 20.0,
    'linger': 0.0,
}
HEARTBEAT = bytes(
    common.MAVLink_heartbeat_message(6, 8, 0, 0, 4, 3).pack(common.MAVLink(None, GROUND, 190))
)
THREE = cloud((3, 0.0, 0.0), (7, 50.0, 0.0), (NO_LABEL, 80.0, 0.0))


@contextlib.contextmanager
def active_stage(state=b'', **params):
    """Yield the stage, active as in a worker."""
    stage = configured(Communications(), FAST | params)
    stage.restore_state(state)
    stage.activate()
    try:
        yield stage
    finally:
        stage.deactivate()
        stage.cleanup()


@pytest.fixture
def ground():
    station = GroundStation()
    yield station
    station.close()


def undelivered(stage):
    return stage.status.values.get('undelivered')


def wait_until_delivered(stage):
    wait_for(
        lambda: undelivered(stage) == '0' and stage.status.values.get('sent'),
        'that all is delivered',
        seen=stage.status.snapshot,
    )


def test_the_cloud_is_passed_on_unchanged():
    with active_stage() as stage:
        item = message(THREE, stamp_at(1.0))
        assert stage.process(item) is item


def test_each_target_is_sent_once_as_a_command_and_a_text(ground):
    with active_stage(connection=ground.connection) as stage:
        for step in range(5):
            stage.process(message(THREE, stamp_at(step)))
        wait_until_delivered(stage)
        wait_for(lambda: len(ground.texts) == 3, 'the texts', seen=lambda: ground.texts)
        assert stage.status.level == 'ok'
    assert [round(each.param2) for each in ground.commands] == [3, 7, NO_LABEL]
    second = ground.targets[2]
    assert (second.x, second.y) == (449600000, round(-110.64e7 + 50 * 127))
    assert second.param3 == pytest.approx(0.5)
    assert second.param4 == 3
    assert second.frame == common.MAV_FRAME_GLOBAL_RELATIVE_ALT
    assert ground.texts[1].startswith('marker 7: 44.96')


@pytest.mark.slow
def test_a_lost_command_is_sent_again(ground):
    ground.keep = lambda number: number % 3 == 2
    with active_stage(connection=ground.connection) as stage:
        stage.process(message(THREE, stamp_at(1.0)))
        wait_until_delivered(stage)
    assert sorted(ground.targets) == [1, 2, 3]
    assert len(ground.commands) > 3


@pytest.mark.slow
def test_a_ground_that_reconnects_receives_the_targets(ground):
    with active_stage(connection=ground.connection, link_timeout=0.5) as stage:
        stage.process(message(THREE[:1], stamp_at(1.0)))
        wait_until_delivered(stage)
        ground.close()
        wait_for(lambda: 'silent' in stage.status.message, 'the status message')
        stage.process(message(THREE, stamp_at(2.0)))
        wait_for(lambda: int(undelivered(stage)) == 2, 'that they are due')
        back = GroundStation(ground.port)
        try:
            wait_until_delivered(stage)
        finally:
            back.close()
    assert sorted(back.targets) == [2, 3]


@pytest.mark.slow
def test_garbage_is_ignored(ground):
    with active_stage(connection=ground.connection) as stage:
        wait_for(lambda: ground.heartbeats, 'that the link is there')
        for _ in range(20):
            ground.send_garbage()
        stage.process(message(THREE, stamp_at(1.0)))
        wait_until_delivered(stage)
    assert sorted(ground.targets) == [1, 2, 3]


def test_a_rejected_target_is_not_sent_again(ground):
    ground.result = common.MAV_RESULT_UNSUPPORTED
    with active_stage(connection=ground.connection) as stage:
        stage.process(message(THREE, stamp_at(1.0)))
        wait_until_delivered(stage)
        wait_for(lambda: 'has rejected 3' in stage.status.message, 'the status message')
    assert len(ground.commands) == 3


@pytest.mark.slow
def test_a_replacement_neither_repeats_nor_loses_reports(ground):
    with active_stage(connection=ground.connection) as stage:
        stage.process(message(THREE[:2], stamp_at(1.0)))
        wait_until_delivered(stage)
        state = stage.save_state()
    with active_stage(state, connection=ground.connection) as stage:
        stage.process(message(THREE, stamp_at(2.0)))
        wait_until_delivered(stage)
    assert [round(each.param1) for each in ground.commands] == [1, 2, 3]


@pytest.mark.slow
def test_deactivation_waits_for_the_last_acknowledgements(ground):
    ground.keep = lambda number: number not in (1, 2, 3)
    with active_stage(connection=ground.connection, linger=10.0) as stage:
        stage.process(message(THREE[:1], stamp_at(0.5)))
        wait_until_delivered(stage)  # so it is in contact
        stage.process(message(THREE, stamp_at(1.0)))
    assert sorted(ground.targets) == [1, 2, 3]


@contextlib.contextmanager
def ground_by(kind, port):
    """Yield a ground station on another kind of link, and the connection to it."""
    with contextlib.ExitStack() as stack:
        if kind == 'serial':
            master, device = os.openpty()
            stack.callback(os.close, device)
            link, connection = Pty(master), os.ttyname(device)
        else:
            there = {'tcp': 'tcpin', 'tcpin': 'tcp', 'udpin': 'udpout'}[kind]
            link = wait_for(lambda: linked(f'{there}:127.0.0.1:{port}'), 'that one listens')
            connection = f'{kind}:127.0.0.1:{port}'
        station = GroundStation(link=link)
        stack.callback(station.close)
        if kind == 'udpin':  # a server sends nothing before it has received something
            link.write(HEARTBEAT)
        yield station, connection


def linked(address):
    try:
        return Link(address)
    except ConnectionRefusedError:
        return None


class Pty:
    """The other end of a serial device."""

    def __init__(self, master):
        self._file = master

    def read(self, timeout):
        return (
            os.read(self._file, 65536) if select.select([self._file], [], [], timeout)[0] else b''
        )

    def write(self, data):
        os.write(self._file, data)

    def close(self):
        os.close(self._file)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['tcp', 'serial'])
def test_other_kinds_of_links_work_too(kind):
    with ground_by(kind, free_port(socket.SOCK_STREAM)) as (ground, connection):  # noqa: SIM117
        with active_stage(connection=connection) as stage:
            stage.process(message(THREE, stamp_at(1.0)))
            wait_until_delivered(stage)
            wait_for(lambda: len(ground.texts) == 3, 'the texts', seen=lambda: ground.texts)
            assert stage.status.level == 'ok'
    assert sorted(ground.targets) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['tcpin', 'udpin'])
def test_the_ground_may_be_the_tcp_client(kind):
    """Which may disconnect and connect again."""
    port = free_port(socket.SOCK_DGRAM if kind == 'udpin' else socket.SOCK_STREAM)
    with active_stage(connection=f'{kind}:127.0.0.1:{port}', link_timeout=0.5) as stage:
        wait_for(
            lambda: 'nothing received from the ground yet' in stage.status.message,
            'that it listens',
        )
        for number in (1, 2, 3):
            with ground_by(kind, port) as (ground, _):
                stage.process(message(THREE[:number], stamp_at(number)))
                wait_for(lambda: ground.targets, 'targets on the ground')
                wait_until_delivered(stage)
            wait_for(lambda: stage.status.level == 'warn', 'a warning about the silent ground')
        assert sorted(ground.targets) == [3]


def test_a_tcp_ground_that_reconnects_receives_the_targets():
    port = free_port(socket.SOCK_STREAM)
    with active_stage(connection=f'tcp:127.0.0.1:{port}') as stage:
        stage.process(message(THREE[:1], stamp_at(1.0)))
        wait_for(lambda: 'refused' in stage.status.message, 'that nobody is there')
        with ground_by('tcp', port):
            wait_until_delivered(stage)
        wait_for(lambda: 'no link to the ground' in stage.status.message, 'the status message')
        stage.process(message(THREE, stamp_at(2.0)))
        with ground_by('tcp', port) as (back, _):
            wait_for(lambda: sorted(back.targets) == [2, 3], 'the others')


def test_a_silently_dead_tcp_link_is_reopened(monkeypatch):
    monkeypatch.setattr(communications, '_REOPEN_TCP', 0.2)
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.settimeout(10.0)
        connection = f'tcp:127.0.0.1:{listener.getsockname()[1]}'
        with active_stage(connection=connection, link_timeout=0.2), listener.accept()[0]:
            listener.accept()[0].close()


@pytest.mark.slow
def test_a_pending_connection_delays_neither_files_nor_deactivation(tmp_path):
    with deaf_listener() as port:
        begun = time.monotonic()
        with active_stage(connection=f'tcp:127.0.0.1:{port}', directory=str(tmp_path)) as stage:
            stage.process(message(THREE, stamp_at(1.0)))
            wait_for((tmp_path / 'targets.kml').exists, 'the file')
        assert time.monotonic() - begun < 4.5  # less than the connection timeout


@pytest.mark.slow
def test_a_paused_worker_closes_the_link():
    port = free_port(socket.SOCK_STREAM)
    with active_stage(connection=f'tcpin:127.0.0.1:{port}') as stage:
        stage.deactivate()
        with pytest.raises(OSError, match='refused'):
            socket.create_connection(('127.0.0.1', port))
        stage.activate()
        with ground_by('tcpin', port) as (ground, _):
            wait_for(lambda: ground.heartbeats, 'a word of ours')


def test_garbage_is_counted(ground):
    with active_stage(connection=ground.connection) as stage:
        wait_for(lambda: ground.heartbeats, 'that the link is there')
        ground.send_garbage()
        wait_for(lambda: int(stage.status.values.get('bad_bytes', 0)) > 0, 'the count')


def test_the_files_are_updated_including_the_last_change(tmp_path):
    with active_stage(directory=str(tmp_path / 'out'), period=30.0) as stage:
        path = tmp_path / 'out' / 'targets.geojson'
        stage.process(message(THREE[:1], stamp_at(1.0)))
        wait_for(path.exists, 'the file')
        first = path.stat().st_ino
        stage.process(message(THREE, stamp_at(2.0)))
        assert path.stat().st_ino == first  # not more often than every period
    features = json.loads(path.read_text())['features']
    assert [each['properties']['name'] for each in features[::2]] == [
        'marker 3',
        'marker 7',
        'unmarked 3',
    ]


def test_a_replacement_writes_the_reports_its_predecessor_had_not_written(tmp_path):
    with active_stage() as stage:
        stage.process(message(THREE, stamp_at(1.0)))
        state = stage.save_state()
    with active_stage(state, directory=str(tmp_path)):
        wait_for((tmp_path / 'targets.kml').exists, 'the file')


@pytest.mark.parametrize(
    ('params', 'expected'),
    [
        ({'connection': 'udp:1'}, "connection: found 'udp:1'; allowed: udpin:HOST:PORT"),
        ({'connection': 'udpin:h:70000'}, 'connection: found'),
        ({'connection': 'flight.tlog'}, 'connection: found'),
        ({'directory': '/proc/nowhere'}, "directory: found '/proc/nowhere', "),
    ],
)
def test_invalid_parameters_are_named(params, expected):
    with pytest.raises(ValueError, match=expected):
        configured(Communications(), params)


def test_an_invalid_state_is_rejected():
    for broken in (b'{}', b'[]', b'no json', b'{"book": 1, "delivery": 2}'):
        with pytest.raises(ValueError, match=r'.'):
            configured(Communications()).restore_state(broken)
