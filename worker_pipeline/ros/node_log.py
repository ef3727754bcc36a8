# SPDX-License-Identifier: Apache-2.0
"""A node's log that takes any text at any severity, for what a stage's code says.

rclpy's own logger remembers every line of code that logs, and raises if a line logs at another
severity than before; so all severities cannot go through one line. It raises as well for a text
that cannot be encoded, and cuts a text at a zero byte.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import NamedTuple

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.logging import LoggingSeverity
from rclpy.node import Node

from worker_pipeline.error_text import MAX_LOG, plain_text

# The severities of ROS by the least level of the standard library.
SEVERITIES = (
    (logging.CRITICAL, LoggingSeverity.FATAL),
    (logging.ERROR, LoggingSeverity.ERROR),
    (logging.WARNING, LoggingSeverity.WARN),
    (logging.INFO, LoggingSeverity.INFO),
)


class CodeLocation(NamedTuple):
    """The line of code that logs."""

    function: str = ''
    file: str = ''
    line: int = 0


UNKNOWN = CodeLocation()


class NodeLog:
    """The log of a node. Any thread may write to it."""

    def __init__(self, node: Node) -> None:
        self._name = node.get_logger().name

    def error(self, text: str) -> None:
        """Write an error."""
        self.write(logging.ERROR, text)

    def warning(self, text: str) -> None:
        """Write a warning."""
        self.write(logging.WARNING, text)

    def write(self, level: int, text: str, location: CodeLocation = UNKNOWN) -> None:
        """Write a text, shortened if it is very long; never raise an ``Exception``.

        Args:
            level: The level by the standard library.
            text: Any text.
            location: The line of code that logs.
        """
        severity = next((ros for least, ros in SEVERITIES if level >= least), LoggingSeverity.DEBUG)
        try:
            if not rclpy_implementation.rclpy_logging_logger_is_enabled_for(self._name, severity):
                return
            rclpy_implementation.rclpy_logging_rcutils_log(
                severity,
                self._name,
                plain_text(text, MAX_LOG),
                plain_text(location.function),
                plain_text(location.file),
                location.line,
            )
        except Exception:  # ROS was shut down, by the stage's own code
            with contextlib.suppress(Exception):  # standard error may be closed too
                print(f'[{severity.name}] [{self._name}]: {plain_text(text)}', file=sys.stderr)
