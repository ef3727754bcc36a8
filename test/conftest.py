"""For all tests."""

from __future__ import annotations

import logging

# With a ROS 2 sourced, its launch makes all new loggers of a class that keeps its records from
# caplog. Nothing here is launched by it.
logging.setLoggerClass(logging.Logger)
