# SPDX-License-Identifier: Apache-2.0
"""A stage package that ``create`` has made passes its own tests, and runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from std_msgs.msg import Header
from support.manager_process import REPOSITORY, ManagerProcess, python_path
from support.observer import header

from worker_pipeline.testing import wait_for


@pytest.fixture
def package(tmp_path) -> Path:
    """A package of two stages."""
    command = [sys.executable, '-m', 'worker_pipeline', 'create', 'my_stages']
    command += ['--directory', str(tmp_path), '--stage', 'Prepare', '--stage', 'DetectTarget']
    subprocess.run(command, check=True, timeout=60, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    return tmp_path / 'my_stages'


def test_the_package_passes_its_own_tests(package):
    """Run as a user runs them; the tests take a domain of their own."""
    environment = os.environ | {'PYTHONPATH': python_path(), 'PYTEST_ADDOPTS': ''}
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider'],
        cwd=package,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert '5 passed' in done.stdout


def test_the_manager_runs_its_configuration(package, observer, domain):
    answers = observer.collect('detect_target/output', Header)
    parameters = (package / 'config' / 'my_stages.yaml').read_text()
    manager = ManagerProcess(package, parameters, domain)
    try:
        observer.wait_until_active('detect_target', 2)
        observer.feed('prepare/input', [header(number) for number in range(5)])
        wait_for(lambda: len(answers) == 5, 'five answers', seen=manager.show)
        manager.signal(signal.SIGINT, group=True)
        assert manager.wait() == 0, manager.output
        assert not manager.relatives()
    finally:
        manager.close()
