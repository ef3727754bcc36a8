# SPDX-License-Identifier: Apache-2.0
"""Parameters for nodes that take none from outside are named, not ignored."""

from __future__ import annotations

import pytest
import yaml
from support.offline_pipeline import pipeline_config, stage_config

from worker_pipeline.manager.node_sections import section_problems

CONFIG = pipeline_config(stage_config('src', workers=2), stage_config('echo', standby=1))
SECTION = {'ros__parameters': {'use_sim_time': True, 'gain': 2.0}}
MANAGER = '/airside/manager'


def problems_of(tmp_path, content, manager=MANAGER):
    path = tmp_path / 'p.yaml'
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    arguments = ['--ros-args', '--params-file', str(path), '-r', 'a:=b', '--log-level', 'debug']
    return section_problems(arguments, manager, CONFIG)


@pytest.mark.parametrize(
    ('content', 'pattern'),
    [
        ({'/airside/src': SECTION}, '/airside/src'),
        ({'/airside/src/worker_1': SECTION}, '/airside/src/worker_1'),
        ({'airside': {'echo': {'worker_1': SECTION}}}, '/airside/echo/worker_1'),
        ({'/**/worker_0': SECTION}, '/**/worker_0'),
        ({'/**/src': SECTION}, '/**/src'),
        ({'/airside/echo/*': SECTION}, '/airside/echo/*'),
        ({'/*/src': SECTION, '/**': SECTION}, '/*/src'),
    ],
)
def test_a_section_of_a_stage_or_a_worker_is_named_with_what_is_in_it(tmp_path, content, pattern):
    (problem,) = problems_of(tmp_path, content)
    found = f"p.yaml: found gain, use_sim_time for the node '{pattern}', which takes no parameters"
    assert found in problem
    assert "allowed: the manager's section" in problem


@pytest.mark.parametrize(
    'content',
    [
        {'/**': SECTION},
        {'/**/manager': SECTION},
        {'/airside/*': SECTION},
        {'/airside/**': SECTION},
        {MANAGER: SECTION},
        {'airside': {'manager': SECTION}},
        {'/airside/other': SECTION},
        {'/other/src': SECTION},
        {'/airside/src/worker_9': SECTION},
        {'/airside/sr': SECTION},
        {},
        [1, 2],
        ': - not yaml',
    ],
)
def test_sections_of_the_manager_and_of_other_nodes_are_none_of_our_business(tmp_path, content):
    assert problems_of(tmp_path, content) == []


def test_in_the_root_namespace_a_name_needs_no_slash(tmp_path):
    assert problems_of(tmp_path, {'src': SECTION}, '/manager')
    assert problems_of(tmp_path, {'manager': SECTION}, '/manager') == []


@pytest.mark.parametrize(
    ('value', 'count'),
    [
        ('src:use_sim_time:=true', 1),
        ('/airside/src:use_sim_time:=true', 1),
        ('manager:use_sim_time:=true', 0),
        ('other:use_sim_time:=true', 0),
        ('use_sim_time:=true', 0),
        ('text:="a:b"', 0),
    ],
)
def test_a_parameter_on_the_command_line_may_name_its_node(value, count):
    found = section_problems(['x', '--ros-args', '-p', value], MANAGER, CONFIG)
    assert len(found) == count
    assert all(f'-p {value}: found use_sim_time for the node ' in each for each in found)


def test_a_file_that_cannot_be_read_is_reported_by_rclpy(tmp_path):
    assert section_problems(['--ros-args', '--params-file', str(tmp_path)], MANAGER, CONFIG) == []
