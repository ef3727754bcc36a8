"""Real managers with configurations at random: told in one message, or run and stopped in order."""

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
from support.configurations import as_file, files, options, spoilt_trees, trees, valid_trees
from support.managing import ManagerProcess

from worker_pipeline.testing import own_domain

# What a manager says when the first item may come.
AT_WORK = 'every stage is at work'
# What it says when there will be none.
NOT_STARTED = 'nothing was started'


def some(examples: int, *, always_others: bool = False) -> settings:
    """So many starts of a manager. Nothing is shrunk: each try would be a start, too."""
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
    """As many as STORM_STARTS says, and other ones each time."""
    return some(int(os.environ.get('STORM_STARTS', '150')), always_others=True)


def check(
    folder: Path,
    parameters: dict[str, Any] | str,
    arguments: Sequence[str] = (),
    patience: float = 6.0,
) -> str:
    """Start a manager, stop it where it runs, and see that it ended well; returns what it printed.

    ``patience`` is how long it may take until every stage is at work. What is allowed is not always
    wise: some never come that far, and are stopped all the same.
    """
    text = parameters if isinstance(parameters, str) else as_file(parameters)
    note(f'{list(arguments)}\n{text}')
    directory = folder / str(len(list(folder.iterdir())))
    directory.mkdir()
    with own_domain() as domain:
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
            # One message, which says what came of it; others are ROS's own, or a worker's.
            told = [line for line in manager.output.splitlines() if line.startswith('manager: ')]
            assert len(told) == (1 if code else 0)
            assert all(line.endswith(NOT_STARTED) for line in told)
            assert manager.relatives() == []
            return manager.output
        finally:
            manager.close()


@some(2)
@given(valid_trees())
def test_what_should_run_does(tmp_path: Path, tree: dict[str, Any]):
    """Up to every stage being at work, and down again."""
    assert AT_WORK in check(tmp_path, tree, patience=20.0)


@some(4)
@given(spoilt_trees())
def test_any_parameters_are_told_or_run(tmp_path: Path, tree: dict[str, Any]):
    """Keys dropped, doubled, renamed, or with other values."""
    check(tmp_path, tree)


@some(3)
@given(files)
def test_any_text_is_told_or_run(tmp_path: Path, text: str):
    """As a parameter file, also where it is no YAML."""
    check(tmp_path, text)


@some(3)
@given(valid_trees(), options)
def test_any_arguments_are_told_or_taken(
    tmp_path: Path, tree: dict[str, Any], arguments: list[str]
):
    """Remappings, parameters and log levels that ROS refuses, or that we must live with."""
    check(tmp_path, tree, arguments)


@pytest.mark.storm
@pytest.mark.timeout(7200)
@storm()
# Mostly what comes past ROS, and to our own checks.
@given(st.one_of(trees, trees, trees, files), st.one_of(st.just([]), st.just([]), options))
def test_a_storm_of_configurations(
    tmp_path: Path, parameters: dict[str, Any] | str, arguments: list[str]
):
    """All of it together, many times; ``STORM_STARTS`` says how many."""
    check(tmp_path, parameters, arguments)
