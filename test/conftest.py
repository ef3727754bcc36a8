# SPDX-License-Identifier: Apache-2.0
"""For all tests."""

from __future__ import annotations

import importlib.util
import logging
import os
from pathlib import Path

import pytest
from support.dealing import deal

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


@pytest.hookimpl(trylast=True)  # after the shuffling
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the tests to the processes of pytest-xdist: the longest first."""
    processes = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    if processes > 1:
        items[:] = deal(items, processes, cost, group)
