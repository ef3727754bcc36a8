"""What a source is asked for: an item every period, each a ``sensor_msgs/TimeReference``."""

from __future__ import annotations

import struct
import time
from typing import Any

from rclpy.serialization import serialize_message
from sensor_msgs.msg import TimeReference

from worker_pipeline.core.forward_clock import ForwardClock
from worker_pipeline.core.item import TICK
from worker_pipeline.runtime.cdr import split_stamp

_STAMP = struct.Struct('=iI')  # a Time, as this machine writes it
# Where it is in a serialised tick, whose frame_id is empty.
_STAMP_AT, _TIME_REF_AT = 4, 20
_BLANK = bytes(serialize_message(TimeReference(source=TICK)))


def tick_at(stamp: int, since: int) -> bytes:
    """A serialised tick; both in ns: its stamp, and the time since the stream began.

    All but these is the same in each, so nothing is serialised again.
    """
    tick = bytearray(_BLANK)
    _STAMP.pack_into(tick, _STAMP_AT, *split_stamp(stamp))
    _STAMP.pack_into(tick, _TIME_REF_AT, *split_stamp(since))
    return bytes(tick)


def read_clocks(clock: Any) -> tuple[int, int | None]:
    """ROS time by a node's clock, and steady time, ns; None where ROS time is a simulation's."""
    ros = clock.now().nanoseconds
    return ros, None if clock.ros_time_is_active else time.monotonic_ns()


class TickSource:
    """The ticks of one source. ``period`` in s; 0: as soon as somebody can take one."""

    def __init__(self, period: float) -> None:
        self.period = period
        self.exhausted = False
        self.epoch = 0  # ROS time in ns at which the stream began; 0: it has not
        self._last = 0
        self._due = False
        self._clock = ForwardClock()

    def begin(self, epoch: int) -> None:
        """The stream begins."""
        self.epoch = epoch
        self._due = True

    def come_due(self) -> None:
        """A period is over. One in which nobody could take the item is not made up for."""
        self._due = True

    def next(self, now: int, steady: int | None = None) -> tuple[int, bytes] | None:
        """The stamp and the message of the next tick, if one is due. ``now``: ROS time in ns.

        ``steady``: the same moment by a clock that is never set. With it, the stream goes on as it
        was where ROS time is set back; without, as it is simulated, it waits.
        """
        if self.exhausted or not self.epoch or (self.period > 0 and not self._due):
            return None
        self._due = False
        if steady is not None:
            self._clock.follow(steady, now)
            now = self._clock.ros_time(steady)
        stamp = self._last = max(now, self._last + 1)
        return stamp, tick_at(stamp, max(0, stamp - self.epoch))

    def snapshot(self) -> dict[str, Any]:
        """What a later manager is to know."""
        return {
            'epoch': self.epoch,
            'exhausted': self.exhausted,
            'last': self._last,
            'offset': self._clock.offset,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where an earlier manager ended."""
        self.epoch, self.exhausted = state['epoch'], state['exhausted']
        self._last = state['last']
        self._clock.offset = state.get('offset', 0)  # in older journals there is none
        self._due = True
