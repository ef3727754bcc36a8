"""Room for frames: whether a stage may begin an item that will yield one more.

It waits for those that need the frames there are. None of them may wait for it in turn: a stage
that makes a frame of a frame lets go of the one only with the other, so those before it leave it
room for one. And where nobody is about to let go of any, who waited would wait for ever: that frame
goes by a socket instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker_pipeline.core.ledger import Overflow
from worker_pipeline.runtime.frame_blocks import room_for
from worker_pipeline.runtime.frame_keeper import FrameKeeper
from worker_pipeline.runtime.frame_reference import decode, is_reference

if TYPE_CHECKING:
    from worker_pipeline.nodes.stage import StageNode


class FrameRoom:
    """One stage's view of it. ``limit``: bytes that all frames may take; 0: there are none."""

    def __init__(self, stage: StageNode, frames: FrameKeeper, limit: float) -> None:
        self._stage = stage
        self._frames = frames
        self._limit = limit
        self.size = 0  # bytes; of the largest of its outputs that were frames
        self.waits = False  # whether there was none when it was looked for last

    def note(self, output: bytes, maker: int | None) -> None:
        """The stage has an output, of the worker with the pid ``maker``.

        One that it was given and passes on takes no more room.
        """
        if is_reference(output):
            reference = decode(output)
            size = room_for(reference.size)
            if size > self.size and reference.producer == maker:
                self.size = size

    @property
    def promised(self) -> int:
        """Bytes of the frames that its workers are making, or will, without asking again."""
        return self._stage.ledger.begun * self.size

    def is_there(self) -> bool:
        """Whether one more frame may be made; where queues drop their oldest, they do for it."""
        self.waits = False
        if not self.size or not self._limit:
            return True
        reserved = sum(each.frame_room.size for each in self._stage.later if not each.ledger.begun)
        promised = sum(each.frame_room.promised for each in self._stage.connected)
        while self._frames.needed + promised + self.size + reserved > self._limit:
            if self._drop_the_oldest():
                self._frames.settle()  # what was dropped may be needed elsewhere
            elif any(each.goes_on for each in self._stage.connected):
                self.waits = True
                return False
            else:
                break
        return True

    def _drop_the_oldest(self) -> bool:
        followers = self._stage.followers
        dropped = [
            each.ledger.drop_oldest()
            for each in followers
            if each.config.overflow is Overflow.DROP_OLDEST
        ]
        return any(dropped)
