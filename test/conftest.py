# SPDX-License-Identifier: Apache-2.0
"""For all tests."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dealing import deal
from support.manager_process import open_managers

# With a ROS 2 sourced, its launch makes all new loggers of a class that keeps its records from
# caplog. Nothing here is launched by it.
logging.setLoggerClass(logging.Logger)

# Which no rosdep key brings.
collect_ignore_glob = (
    []
    if importlib.util.find_spec('pymavlink')
    else [
        'unit/airside/mavlink/*',
        'unit/airside/simulation/test_autopilot.py',
        'ros/test_flight_interface.py',
    ]
)


def pytest_configure(config) -> None:
    """Launch leaves its event loop to the garbage collector, which frees it at the very end."""
    if importlib.util.find_spec('launch'):
        config.addinivalue_line('filterwarnings', 'ignore:unclosed :ResourceWarning')


def kind(item: pytest.Item) -> str:
    """Return the folder of a test, as ros; '' for a test from elsewhere."""
    here = Path(__file__).parent
    return item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ''


def cost(item: pytest.Item) -> float:
    """Return about how long a test takes on an idle machine, s; 0 for less than a second."""
    return {'system': 20.0, 'ros': 2.5}.get(kind(item), 0.0)


def group(item: pytest.Item) -> str:
    """Return the name of the tests that stay together: many of a ROS module share a pipeline."""
    return item.nodeid if kind(item) == 'system' else str(item.path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Add to the report of a failure what the managers of the test were doing and had printed."""
    report = yield
    if report.failed:
        for manager in open_managers:
            report.sections.append(('manager', manager.describe()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the managers were doing in failures that were tried once more."""
    for report in terminalreporter.stats.get('rerun', []):
        for title, text in report.sections:
            if title == 'manager':
                terminalreporter.write_sep('-', f'manager of {report.nodeid}, tried once more')
                terminalreporter.write_line(text)


@pytest.hookimpl(trylast=True)  # after the shuffling
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal the tests to the processes of pytest-xdist, the longest first; mark the real ones.

    A test with real processes is tried once more when it has failed, and the first failure is
    shown: a kernel and a middleware that are not ours take part in it.
    """
    if config.pluginmanager.hasplugin('rerunfailures'):
        for item in items:
            if kind(item) in {'ros', 'system'}:
                item.add_marker(pytest.mark.flaky(reruns=1))
    processes = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    if processes > 1:
        items[:] = deal(items, processes, cost, group)
