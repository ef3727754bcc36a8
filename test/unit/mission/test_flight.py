"""What the mission needs to know before it flies."""

from __future__ import annotations

import importlib
import socket

import pytest
import yaml

from worker_pipeline.mission import domain
from worker_pipeline.mission.__main__ import find_configuration, main
from worker_pipeline.mission.flight import (
    MissionError,
    _settings_of,
    _write_overrides,
    expected_pads,
)
from worker_pipeline.parameter import check_parameters
from worker_pipeline.simulation.flight import SimulatedFlight
from worker_pipeline.simulation.pads import REFERENCE_PADS

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
    for name in ('width', 'height', 'focal_length', 'principal_point'):
        assert camera[name] == ground[name]
    assert camera['seed'] == sections['flight_interface']['params']['seed']


def test_nothing_is_dropped_in_the_reference_configuration():
    followers = [section for section in stages().values() if 'input' in section]
    assert [section['overflow'] for section in followers] == ['block'] * len(followers)


def test_the_whole_flight_must_find_every_pad_and_a_short_one_fewer():
    settings = _settings_of(CONFIGURATION)
    assert expected_pads(SimulatedFlight(), 0.1, settings) == list(REFERENCE_PADS)
    some = expected_pads(SimulatedFlight(duration=12.0), 0.1, settings)
    assert 0 < len(some) < len(REFERENCE_PADS)


def test_a_configuration_that_cannot_be_flown_is_named(tmp_path):
    for content in ('', 'a: [', '/**/manager: {ros__parameters: {}}'):
        path = tmp_path / 'some.yaml'
        path.write_text(content)
        with pytest.raises(MissionError, match=r'some\.yaml: cannot be flown'):
            _settings_of(path)


def test_without_a_photograph_the_mission_does_not_start(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('WORKER_PIPELINE_IMAGERY', str(tmp_path / 'none.png'))
    assert main(['--out', str(tmp_path / 'out')]) == 2
    assert 'no aerial photograph' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_the_overrides_end_the_pipeline_when_it_is_done(tmp_path):
    path = _write_overrides(tmp_path / 'mission.yaml', tmp_path / 'photograph.png', 12.0)
    parameters = yaml.safe_load(path.read_text())['/**/manager']['ros__parameters']
    assert parameters['exit_when_done'] is True
    assert parameters['video_input']['params']['duration'] == 12.0
    assert parameters['flight_interface']['params']['duration'] == 12.0


def test_a_domain_in_use_is_not_taken(monkeypatch):
    monkeypatch.setattr(domain, '_DOMAINS', (3, 4))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        somebody.bind(('', 7400 + 250 * 3))
        assert domain.free_domain() == 4
        monkeypatch.setattr(domain, '_DOMAINS', (3,))
        with pytest.raises(RuntimeError, match='is in use'):
            domain.free_domain()
