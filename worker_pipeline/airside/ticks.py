"""What a source is asked: the tick."""

from __future__ import annotations

from typing import Any

from worker_pipeline.context import NANOSECONDS, stamp_ns


def stream_time(tick: Any) -> float:
    """Seconds since the stream began at the time a ``sensor_msgs/TimeReference`` asks for."""
    return stamp_ns(tick.time_ref) / NANOSECONDS
