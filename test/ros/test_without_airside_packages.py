# SPDX-License-Identifier: Apache-2.0
"""A pipeline of plain stages where the packages of the airside stages are not installed."""

from __future__ import annotations

import os

import pytest
from support.blocked import block_airside_packages
from support.configuring import stage
from support.manager_process import python_path

PLAIN = {
    'stages': ['counting', 'echo'],
    'exit_when_done': True,
    'counting': stage('Counting', period=0.01),
    'echo': stage('Echo', input='counting', workers=2),
}


@pytest.fixture
def environment(tmp_path):
    blocked = tmp_path / 'blocked'
    blocked.mkdir()
    return {'PYTHONPATH': os.pathsep.join([block_airside_packages(blocked), python_path()])}


def test_a_pipeline_of_plain_stages_runs_to_its_end(start, observer, environment):
    answers = observer.collect('echo/output')
    manager = start(PLAIN, environment=environment)
    assert manager.wait() == 0, manager.output
    assert answers


def test_an_airside_stage_starts_nothing_and_names_the_package_to_install(start, environment):
    parameters = {
        'stages': ['detect_target'],
        'detect_target': {'plugin': 'worker_pipeline.airside.detect_target:DetectTarget'},
    }
    manager = start(parameters, environment=environment)
    assert manager.wait() == 2, manager.output
    assert "MissingPackageError: No module named 'cv2'; pip install opencv" in manager.output
