"""What a source is asked for: an item every period, each a ``sensor_msgs/TimeReference``."""

from __future__ import annotations

from typing import Any

from rclpy.serialization import serialize_message
from sensor_msgs.msg import TimeReference

from worker_pipeline.core.item import TICK
from worker_pipeline.runtime.cdr import split_stamp


class TickSource:
    """The ticks of one source. ``period`` in s; 0: as soon as somebody can take one."""

    def __init__(self, period: float) -> None:
        self.period = period
        self.exhausted = False
        self.epoch = 0  # ROS time in ns at which the stream began; 0: it has not
        self._last = 0
        self._due = False

    def begin(self, epoch: int) -> None:
        """The stream begins."""
        self.epoch = epoch
        self._due = True

    def come_due(self) -> None:
        """A period is over. One in which nobody could take the item is not made up for."""
        self._due = True

    def next(self, now: int) -> tuple[int, bytes] | None:
        """The stamp and the message of the next tick, if one is due. ``now``: ROS time in ns."""
        if self.exhausted or not self.epoch or (self.period > 0 and not self._due):
            return None
        self._due = False
        stamp = self._last = max(now, self._last + 1)
        tick = TimeReference(source=TICK)
        tick.header.stamp.sec, tick.header.stamp.nanosec = split_stamp(stamp)
        tick.time_ref.sec, tick.time_ref.nanosec = split_stamp(max(0, stamp - self.epoch))
        return stamp, bytes(serialize_message(tick))

    def snapshot(self) -> dict[str, Any]:
        """What a later manager is to know."""
        return {'epoch': self.epoch, 'exhausted': self.exhausted, 'last': self._last}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where an earlier manager ended."""
        self.epoch, self.exhausted = state['epoch'], state['exhausted']
        self._last = state['last']
        self._due = True
