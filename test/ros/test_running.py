# SPDX-License-Identifier: Apache-2.0
"""``run_pipeline``, with which a package's own tests run their pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from std_msgs.msg import Header
from support.configuring import stage
from support.env_marked import MARK, find_marked
from support.observer import header

from worker_pipeline.testing import run_pipeline, wait_for


def parameter_file(folder: Path, **echo: object) -> Path:
    path = folder / 'echo.yaml'
    parameters = {'stages': ['echo'], 'echo': stage('Echo', **echo)}
    path.write_text(yaml.safe_dump({'/**/manager': {'ros__parameters': parameters}}))
    return path


def test_a_pipeline_runs_while_the_context_lasts(tmp_path, monkeypatch):
    """In its namespace, with the modules that the test finds; nothing is left of it."""
    monkeypatch.setenv(MARK, str(tmp_path))
    with run_pipeline(parameter_file(tmp_path, workers=2), '/north') as probe:
        answers = probe.collect('echo/output', Header)
        probe.wait_until_active('echo', 2)
        probe.feed('echo/input', [header(1)])
        wait_for(lambda: answers, 'an answer')
        assert '/north/manager' in probe.diagnostics[-1]
    wait_for(lambda: not find_marked(str(tmp_path)), 'the end of its processes')


def test_a_manager_that_fails_fails_the_test(tmp_path):
    with (
        pytest.raises(AssertionError, match='the manager exited with code 2'),
        run_pipeline(parameter_file(tmp_path, workers=0)),
    ):
        pass


def test_a_pipeline_may_end_by_itself(tmp_path):
    path = tmp_path / 'counting.yaml'
    parameters = {
        'stages': ['counting', 'echo'],
        'exit_when_done': True,
        'counting': stage('Counting', params={'items': 1}),
        'echo': stage('Echo', input='counting'),
    }
    path.write_text(yaml.safe_dump({'/**/manager': {'ros__parameters': parameters}}))
    with run_pipeline(path):
        pass
