# SPDX-License-Identifier: Apache-2.0
"""Log lines about what may come in floods, such as refused messages.

rclpy's own ``throttle_duration_sec`` looks up the calling line in the source each time, also for a
line that it does not write. That takes half a millisecond, ten times as long as accepting an item.
And it says nothing of the lines that it left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any

from worker_pipeline.core.log_throttle import LogThrottle

# Returns the text of a line from what was given to ``warning``.
Text = Callable[..., str]


class ThrottledLog:
    """Writes one line a second for each cause, and how many more there were.

    Args:
        logger: Of a node.
    """

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._throttle = LogThrottle()

    def warning(self, cause: Hashable, text: Text, *arguments: Any) -> None:
        """Write a warning, or count it.

        Args:
            cause: Its kind: one of a few.
            text: Returns the text; called only if it is written.
            arguments: What it is called with.
        """
        if self._throttle.note(cause, (self._warn, text, arguments), time.monotonic()):
            self._warn(text(*arguments))

    def error(self, cause: Hashable, text: str) -> None:
        """Write an error, or count it.

        Args:
            cause: Its kind: one of a few.
            text: Its text.
        """
        if self._throttle.note(cause, (self._report, str, (text,)), time.monotonic()):
            self._report(text)

    def tick(self, now: float) -> None:
        """Write what was counted in the last second. ``now``: s."""
        for _, ((write, text, arguments), more) in self._throttle.due(now):
            write(text(*arguments) + (f' (and {more:,} more)' if more else ''))

    # rclpy allows a line of code one severity only.

    def _warn(self, text: str) -> None:
        self._logger.warning(text)

    def _report(self, text: str) -> None:
        self._logger.error(text)
