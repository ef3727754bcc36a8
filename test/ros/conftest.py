# SPDX-License-Identifier: Apache-2.0
"""Pipelines of real processes, each in a ROS domain of its own.

``start`` starts one for a test. ``shared`` is one for all tests of a module that do no more than
use a stage of their own in it, as starting a pipeline takes longer than most of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

from support.manager_process import ManagerProcess
from support.observer import Observer

from worker_pipeline.testing import isolated_domain


@pytest.fixture
def domain() -> Iterator[int]:
    """A ROS domain that is this test's own."""
    with isolated_domain() as number:
        yield number


@pytest.fixture
def observer(domain: int) -> Iterator[Observer]:
    """A plain node beside the pipeline."""
    seeing = Observer(domain)
    yield seeing
    seeing.close()


@pytest.fixture
def start(domain: int, tmp_path: Path) -> Iterator[Callable[..., ManagerProcess]]:
    """Start a manager with the parameters given; any remains are ended after the test."""
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


class Shared(NamedTuple):
    """A running pipeline, a node beside it, and what that node has had since before the start."""

    manager: ManagerProcess
    observer: Observer
    domain: int
    before: Any


@pytest.fixture(scope='module')
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shared]:
    """The pipeline of the module's ``SHARED`` parameters, with every stage that they describe.

    If the module has a function ``before_start``, it is called with the observer first.
    """
    parameters = request.module.SHARED
    stages = [name for name, value in parameters.items() if isinstance(value, dict)]
    before_start = getattr(request.module, 'before_start', None)
    with isolated_domain() as domain:
        observer = Observer(domain)
        before = before_start(observer) if before_start else None
        directory = tmp_path_factory.mktemp('shared')
        manager = ManagerProcess(directory, {'stages': stages, **parameters}, domain)
        try:
            yield Shared(manager, observer, domain, before)
        finally:
            observer.close()
            manager.close()
