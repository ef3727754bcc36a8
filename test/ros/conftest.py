"""A pipeline of real processes for each test, in a ROS domain of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

from support.managing import ManagerProcess
from support.observing import Observer

from worker_pipeline.testing import own_domain


@pytest.fixture
def domain() -> Iterator[int]:
    """A ROS domain that is this test's own."""
    with own_domain() as number:
        yield number


@pytest.fixture
def observer(domain: int) -> Iterator[Observer]:
    """A plain node beside the pipeline."""
    seeing = Observer(domain)
    yield seeing
    seeing.close()


@pytest.fixture
def start(domain: int, tmp_path: Path) -> Iterator[Callable[..., ManagerProcess]]:
    """Start a manager with the parameters given; what is left of it ends with the test."""
    started = []

    def start_manager(parameters: dict[str, Any], name: str = 'run', **how: Any) -> ManagerProcess:
        directory = tmp_path / name
        directory.mkdir()
        started.append(ManagerProcess(directory, parameters, domain, **how))
        return started[-1]

    yield start_manager
    for manager in started:
        if os.environ.get('WORKER_PIPELINE_TEST_OUTPUT'):
            print(manager.output)
        manager.close()
