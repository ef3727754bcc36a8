# SPDX-License-Identifier: Apache-2.0
"""The tick, by which the manager asks a source for an item."""

from __future__ import annotations

from typing import Any

from worker_pipeline.context import NANOSECONDS, stamp_ns


def stream_time(tick: Any) -> float:
    """Return the seconds since the stream began at the time that a tick asks for.

    ``tick``: a ``sensor_msgs/TimeReference``.
    """
    return stamp_ns(tick.time_ref) / NANOSECONDS
