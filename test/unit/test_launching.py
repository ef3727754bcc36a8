# SPDX-License-Identifier: Apache-2.0
"""The arguments of the launch files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support.configuring import flat

from worker_pipeline.config import load
from worker_pipeline.launching.arguments import (
    LaunchArgumentError,
    check_names,
    stages_of,
    worker_counts,
)
from worker_pipeline.parameter import check_parameters
from worker_pipeline.plugins.loader import load_stage_class

CONFIG = Path(__file__).parents[2] / 'config'
STAGES = ['detect_target', 'geolocation']


@pytest.mark.parametrize(
    ('text', 'counts'),
    [
        ('', {}),
        ('detect_target=3', {'detect_target': 3}),
        ('  geolocation=1   detect_target=100 ', {'geolocation': 1, 'detect_target': 100}),
    ],
)
def test_worker_counts_are_parsed(text, counts):
    """One for each stage in the text."""
    assert worker_counts(text, STAGES) == counts


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('3', "workers: found '3'; allowed: stage=count, as in detect_target=2 geolocation=2"),
        ('detect=3', "workers: found 'detect', which is no stage; did you mean 'detect_target'?"),
        ('x=1', "workers: found 'x', which is no stage; known: detect_target, geolocation"),
        ('geolocation=1 geolocation=2', 'workers: found geolocation twice; allowed: each stage '),
        *(
            (
                f'geolocation={count}',
                f'workers of geolocation: found {count!r}; allowed: an int from 1 to 100',
            )
            for count in ('', '0', '101', '-1', '1.5', 'two', '\u0662')
        ),
    ],
)
def test_an_invalid_worker_count_is_rejected(text, message):
    """The error has the argument, the value, and the allowed values."""
    with pytest.raises(LaunchArgumentError) as raised:
        worker_counts(text, STAGES)
    assert str(raised.value).startswith(message)


def test_a_misspelt_argument_is_rejected():
    """Launch itself would silently ignore it."""
    known = ['detect_target_workers', 'namespace']
    check_names(['detect_target_workers:=3', 'namespace:=', '--debug'], known)
    with pytest.raises(LaunchArgumentError) as raised:
        check_names(['namespace:=a', 'detect_target_worker:=3'], known)
    assert str(raised.value).startswith(
        "found 'detect_target_worker', which is no argument; did you mean 'detect_target_workers'?"
    )


@pytest.mark.parametrize(
    'names', [['/**/manager'], ['airside', 'manager'], ['/airside/manager']], ids=str
)
def test_stages_are_found_under_any_name_of_the_node(tmp_path, names):
    """A parameter file may nest namespaces."""
    content: dict = {'ros__parameters': {'stages': ['one', 'two']}}
    for name in reversed(names):
        content = {name: content}
    path = tmp_path / 'parameters.yaml'
    path.write_text(yaml.safe_dump(content))
    assert stages_of(path) == ['one', 'two']


@pytest.mark.parametrize(
    'text', ['', 'a: b', '[1, 2]', '/**/manager: {ros__parameters: {stages: 3}}', ': :', '\xff']
)
def test_a_file_without_stages_is_rejected(tmp_path, text):
    """Also one that is not YAML, and one that does not exist."""
    path = tmp_path / 'parameters.yaml'
    path.write_bytes(text.encode('latin-1'))
    with pytest.raises(LaunchArgumentError, match='params_file: found '):
        stages_of(path)
    with pytest.raises(LaunchArgumentError, match=r'cannot be read: .*No such file'):
        stages_of(tmp_path / 'none.yaml')


def test_the_parameter_file_for_a_drone_is_valid():
    """With its stages' own parameters; nothing in it is simulated."""
    path = CONFIG / 'airside_live.yaml'
    tree = yaml.safe_load(path.read_text())['/**/manager']['ros__parameters']
    config = load(flat(tree))
    for stage in config.stages.values():
        params = check_parameters(load_stage_class(stage.plugin).parameters, stage.params)
        assert 'simulated' not in params.values()
    assert stages_of(path) == list(config.stages)


@pytest.mark.parametrize('path', sorted((CONFIG / 'hardware').glob('*.yaml')), ids=lambda p: p.stem)
def test_an_overlay_for_a_hardware_changes_only_numbers_of_workers(path):
    """The result is a valid configuration."""

    def parameters(file: Path) -> dict:
        return yaml.safe_load(file.read_text())['/**/manager']['ros__parameters']

    base, overlay = parameters(CONFIG / 'airside.yaml'), parameters(path)
    for name, section in overlay.items():
        assert name in base['stages']
        assert section.keys() <= {'workers', 'standby', 'concurrency'}
        base[name].update(section)
    assert load(flat(base)).stages['detect_target'].workers == overlay['detect_target']['workers']


def test_the_diagnostic_aggregator_has_a_branch_for_the_manager_and_each_stage():
    """Each takes only the statuses of its own node."""
    table = yaml.safe_load((CONFIG / 'diagnostic_aggregator.yaml').read_text())
    analyzers = table['analyzers']['ros__parameters']
    assert analyzers.pop('path') == 'airside'
    assert list(analyzers) == ['manager', *stages_of(CONFIG / 'airside.yaml')]
    for name, analyzer in analyzers.items():
        assert analyzer['path'] == name
        own = f'/airside/{name}'
        takers = [
            other
            for other, each in analyzers.items()
            if any(own.startswith(prefix) for prefix in each['startswith'])
        ]
        assert takers == [name]
        assert analyzer.get('discard_stale', False) == (name != 'manager')
