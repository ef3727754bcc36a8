"""For all tests."""

from __future__ import annotations

import importlib.util
import logging

# With a ROS 2 sourced, its launch makes all new loggers of a class that keeps its records from
# caplog. Nothing here is launched by it.
logging.setLoggerClass(logging.Logger)

# Which no rosdep key brings.
collect_ignore_glob = (
    []
    if importlib.util.find_spec('pymavlink')
    else [
        'unit/airside/mavlink/*',
        'unit/simulation/test_autopilot.py',
        'ros/test_flight_interface.py',
    ]
)


def pytest_configure(config) -> None:
    """Launch leaves its event loop to the garbage collector, which tells when all is over."""
    if importlib.util.find_spec('launch'):
        config.addinivalue_line('filterwarnings', 'ignore:unclosed :ResourceWarning')
