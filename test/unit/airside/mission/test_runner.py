# SPDX-License-Identifier: Apache-2.0
"""The preparation of a mission."""

from __future__ import annotations

import importlib
import socket
from types import SimpleNamespace

import pytest
import yaml

from worker_pipeline.airside.mission import domain
from worker_pipeline.airside.mission.__main__ import find_configuration, main
from worker_pipeline.airside.mission.errors import MissionError
from worker_pipeline.airside.mission.kills import kill_schedule, parse_stages
from worker_pipeline.airside.mission.ports import free_port, is_free
from worker_pipeline.airside.mission.runner import _read_settings, _write_overrides, expected_pads
from worker_pipeline.airside.mission.world import World
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS
from worker_pipeline.parameter import check_parameters

CONFIGURATION = find_configuration()


def stages():
    parameters = yaml.safe_load(CONFIGURATION.read_text())['/**/manager']['ros__parameters']
    return {name: parameters[name] for name in parameters['stages']}


@pytest.mark.parametrize('name', list(stages()))
def test_the_reference_configuration_fits_the_stages(name):
    section = stages()[name]
    module, _, attribute = section['plugin'].partition(':')
    stage = getattr(importlib.import_module(module), attribute)
    check_parameters(stage.parameters, section.get('params', {}))
    assert set(section.get('context', {})) == set(stage.contexts)


def test_camera_and_flight_are_the_same_in_every_stage():
    sections = stages()
    camera, ground = sections['video_input']['params'], sections['geolocation']['params']
    for name in ('width', 'height', 'focal_length', 'principal_point', 'distortion'):
        assert camera[name] == ground[name]
    assert camera['seed'] == sections['flight_interface']['params']['seed']


def test_nothing_is_dropped_in_the_reference_configuration():
    followers = [section for section in stages().values() if 'input' in section]
    assert [section['overflow'] for section in followers] == ['block'] * len(followers)


@pytest.mark.slow
def test_a_short_flight_must_find_fewer_pads():
    settings = _read_settings(CONFIGURATION)
    whole, short = SimulatedFlight(), SimulatedFlight(duration=12.0)
    assert expected_pads(whole, whole.times(0.1), settings) == list(REFERENCE_PADS)
    some = expected_pads(short, short.times(0.1), settings)
    assert 0 < len(some) < len(REFERENCE_PADS)
    # While the camera's worker was being replaced, it took no images.
    assert not expected_pads(short, short.times(0.1)[:5], settings)


def test_an_unsuitable_configuration_is_named(tmp_path):
    for content in ('', 'a: [', '/**/manager: {ros__parameters: {}}'):
        path = tmp_path / 'some.yaml'
        path.write_text(content)
        with pytest.raises(MissionError, match=r'some\.yaml: not a mission configuration'):
            _read_settings(path)


def test_without_a_photograph_the_mission_does_not_start(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('WORKER_PIPELINE_IMAGERY', str(tmp_path / 'none.png'))
    assert main(['--out', str(tmp_path / 'out')]) == 2
    assert 'no aerial photograph' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_the_overrides_share_the_flight_and_the_ground_address(tmp_path):
    ground = SimpleNamespace(connection='udpout:127.0.0.1:5')
    world = World(SimulatedFlight(1, 12.0), 1.75e9, 'udpin:127.0.0.1:6', None, ground)
    path = _write_overrides(tmp_path / 'mission.yaml', tmp_path / 'photograph.png', world)
    parameters = yaml.safe_load(path.read_text())['/**/manager']['ros__parameters']
    assert parameters['exit_when_done'] is True
    camera, vehicle, ground = (
        parameters[stage]['params']
        for stage in ('video_input', 'flight_interface', 'communications')
    )
    assert (camera['duration'], camera['flight_begin']) == (12.0, 1.75e9)
    assert (vehicle['source'], vehicle['address']) == ('mavlink', 'udpin:127.0.0.1:6')
    assert ground == {'connection': 'udpout:127.0.0.1:5', 'directory': str(tmp_path)}
    for name, params in (('video_input', camera), ('flight_interface', vehicle)):
        module, _, attribute = stages()[name]['plugin'].partition(':')
        check_parameters(getattr(importlib.import_module(module), attribute).parameters, params)


def test_kills_are_spread_over_the_flight():
    stages = ['video_input', 'detect_target', 'data_merge']
    assert parse_stages('all', stages) == stages
    assert parse_stages('none', stages) == []
    assert parse_stages('data_merge,video_input', stages) == ['data_merge', 'video_input']
    with pytest.raises(MissionError, match="kill: found 'camera'; allowed: all, none, video_input"):
        parse_stages('data_merge,camera', stages)
    assert [stage for _, stage in kill_schedule(stages, 40.0)] == stages
    assert [when for when, _ in kill_schedule(stages, 40.0)] == pytest.approx([8.5, 17.0, 25.5])
    assert kill_schedule([], 40.0) == []


def test_a_port_chosen_by_the_system_is_free():
    assert is_free(free_port())


def test_a_domain_in_use_is_not_chosen(monkeypatch):
    monkeypatch.setattr(domain, '_DOMAINS', (3, 4))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        somebody.bind(('', 7400 + 250 * 3))
        assert domain.free_domain() == 4
        with pytest.raises(RuntimeError, match='is in use'):
            domain.free_domain()  # another mission has the one, and somebody else the other
        domain._locks.pop().close()
        monkeypatch.setattr(domain, '_DOMAINS', (3,))
        with pytest.raises(RuntimeError, match='is in use'):
            domain.free_domain()
