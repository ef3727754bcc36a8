# SPDX-License-Identifier: Apache-2.0
"""Managers with random configurations: rejected with one message, or run and stopped cleanly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from support.configurations import as_file, files, mutated_trees, options, trees, valid_trees
from support.manager_process import ManagerProcess

from worker_pipeline.testing import isolated_domain

# Logged by a manager when the first item may come.
AT_WORK = 'every stage is active'
# Logged by a manager that cannot start.
NOT_STARTED = 'nothing was started'


def some(examples: int, *, always_others: bool = False) -> settings:
    """Limit the number of manager starts. Nothing is shrunk, as each attempt would be a start."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=not always_others,
        database=None,
        print_blob=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def storm() -> settings:
    """Take the number of starts from STORM_STARTS, with new examples each time."""
    return some(int(os.environ.get('STORM_STARTS', '150')), always_others=True)


def check(
    folder: Path,
    parameters: dict[str, Any] | str,
    arguments: Sequence[str] = (),
    patience: float = 6.0,
) -> str:
    """Start a manager, stop it if it runs, check that it exited cleanly; return its output.

    ``patience`` is how long it may take until every stage is active, s. Valid configurations need
    not be wise: some never come that far, and are stopped all the same.
    """
    text = parameters if isinstance(parameters, str) else as_file(parameters)
    note(f'{list(arguments)}\n{text}')
    directory = folder / str(len(list(folder.iterdir())))
    directory.mkdir()
    with isolated_domain() as domain:
        manager = ManagerProcess(directory, text, domain, arguments)
        try:
            deadline = time.monotonic() + patience
            while manager.process.poll() is None and time.monotonic() < deadline:
                if AT_WORK in manager.output or NOT_STARTED in manager.output:
                    break
                time.sleep(0.02)
            if manager.process.poll() is None and NOT_STARTED not in manager.output:
                manager.signal(signal.SIGINT)
            code = manager.wait()
            note(manager.output)
            assert code in (0, 2)
            assert 'Traceback' not in manager.output
            # One message, with the result; others are ROS's own, or a worker's.
            told = [line for line in manager.output.splitlines() if line.startswith('manager: ')]
            assert len(told) == (1 if code else 0)
            assert all(line.endswith(NOT_STARTED) for line in told)
            assert manager.relatives() == []
            return manager.output
        finally:
            manager.close()


@some(2)
@given(valid_trees())
def test_valid_configurations_run(tmp_path: Path, tree: dict[str, Any]):
    """Until every stage is active; then the manager stops cleanly."""
    assert AT_WORK in check(tmp_path, tree, patience=60.0)


@some(3)
@given(mutated_trees())
def test_any_parameters_are_rejected_or_run(tmp_path: Path, tree: dict[str, Any]):
    """With keys dropped, doubled, renamed, or with other values."""
    check(tmp_path, tree)


@some(2)
@given(files)
def test_any_parameter_file_is_rejected_or_runs(tmp_path: Path, text: str):
    """Also one that is not YAML."""
    check(tmp_path, text)


@some(2)
@given(valid_trees(), options)
def test_any_arguments_are_rejected_or_accepted(
    tmp_path: Path, tree: dict[str, Any], arguments: list[str]
):
    """Remappings, parameters and log levels, valid or not."""
    check(tmp_path, tree, arguments)


@pytest.mark.storm
@pytest.mark.timeout(7200)
@storm()
# Mostly values that pass ROS and reach our own checks.
@given(st.one_of(trees, trees, trees, files), st.one_of(st.just([]), st.just([]), options))
def test_many_random_configurations(
    tmp_path: Path, parameters: dict[str, Any] | str, arguments: list[str]
):
    """Try random configurations, ``STORM_STARTS`` times."""
    check(tmp_path, parameters, arguments)
