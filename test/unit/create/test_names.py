# SPDX-License-Identifier: Apache-2.0
"""The names of a new stage package."""

from __future__ import annotations

import pytest

from worker_pipeline.config.schema import MAX_NAME_LENGTH
from worker_pipeline.create.names import StageName, package_problem, stage_problems


@pytest.mark.parametrize(
    ('class_name', 'name'),
    [
        ('Echo', 'echo'),
        ('DetectTarget', 'detect_target'),
        ('HTTPCamera', 'http_camera'),
        ('Yolo11Detector', 'yolo11_detector'),
    ],
)
def test_a_stage_is_named_after_its_class(class_name, name):
    assert StageName(class_name).name == name


@pytest.mark.parametrize('name', ['my_stages', 'detectors', 'a2', 'team_7_vision'])
def test_a_name_that_ros_and_python_take_is_allowed(name):
    assert package_problem(name) == ''


@pytest.mark.parametrize(
    'name',
    ['', 'a', 'My_stages', 'my-stages', '7up', '_mine', 'mine_', 'my__stages', 'my.stages', 'é1'],
)
def test_a_name_that_is_no_name_of_a_ros_package_is_rejected(name):
    assert package_problem(name) == (
        f'NAME: found {name!r}; allowed: two or more small letters, digits and single '
        'underscores, the first a letter and the last not an underscore'
    )


@pytest.mark.parametrize('name', ['../evil', 'a/b', 'name\n'])
def test_a_path_is_rejected(name):
    assert package_problem(name)


@pytest.mark.parametrize(
    ('name', 'why'),
    [
        ('class', 'it is a keyword of Python'),
        ('config', 'it is that of a folder of every package'),
        ('test', 'it is that of a folder of every package'),
        ('json', 'it is that of an existing Python module'),
        ('numpy', 'it is that of an existing Python module'),
        ('worker_pipeline', 'it is that of an existing Python module'),
    ],
)
def test_a_name_with_another_meaning_is_rejected(name, why):
    assert package_problem(name) == f'NAME: found {name!r}; allowed: another name; {why}'


def test_a_plain_folder_of_that_name_on_the_python_path_is_no_module(tmp_path, monkeypatch):
    """As where the package has been created in the current directory before."""
    (tmp_path / 'my_stages').mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package_problem('my_stages') == ''


@pytest.mark.parametrize('name', ['echo', 'Detect-Target', 'Detect_Target', '7Up', '', 'E' * 200])
def test_a_name_that_is_no_name_of_a_class_is_rejected(name):
    (problem,) = stage_problems([name])
    assert problem.startswith('--stage: found ')
    assert problem.endswith(
        f'; allowed: a class, such as DetectTarget: up to {MAX_NAME_LENGTH} letters and digits, '
        'the first a capital letter'
    )


@pytest.mark.parametrize(
    ('name', 'why'),
    [
        ('Class', 'class is a keyword of Python'),
        ('True', 'true is a keyword of Python'),
        ('Stage', "it is imported by a stage's module"),
        ('Manager', 'manager is reserved'),
        ('Spares', 'spares is reserved'),
        ('Pipeline', 'pipeline is reserved'),
    ],
)
def test_a_stage_name_with_another_meaning_is_rejected(name, why):
    assert stage_problems([name]) == [f'--stage: found {name!r}; allowed: another name; {why}']


def test_two_stages_of_one_name_are_rejected():
    (problem,) = stage_problems(['DetectTarget', 'Echo', 'DetectTARGET'])
    assert problem == (
        "--stage: found 'DetectTARGET'; allowed: another name; there is a stage detect_target "
        'already'
    )
