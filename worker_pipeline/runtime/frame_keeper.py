"""The manager's side of frames: which of them somebody may still need.

The manager never looks at a frame. It passes references to it on, as payloads of items; and as long
as any of these is anywhere in it, in a ledger, a queue, on its way out, the frame is needed. So a
payload that is a reference is an object whose end is noticed: when the last one for a frame is
gone, its producer is told, or, where that is dead, the block is taken away.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker_pipeline.runtime import frame_reference
from worker_pipeline.runtime.frame_blocks import blocks_of, empty_block, remove_block, room_for
from worker_pipeline.runtime.frame_reader import FrameReader
from worker_pipeline.runtime.frame_reference import Referring, decode, is_reference

# The pid of who made a frame, and which of his it is.
Key = tuple[int, int]


class Kept(Referring):
    """A reference that keeps its frame."""

    key: Key
    dropped: Callable[[Key], None]

    def __del__(self) -> None:
        self.dropped(self.key)


class FrameKeeper:
    """Knows by the references that there are which frames are needed.

    ``folder``: of the blocks, the names of which begin with their producer's pid and a dot.
    ``limit``: bytes of shared memory that they may have together.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self.limit = limit
        self._count: dict[Key, int] = {}
        self._blocks: dict[Key, tuple[str, int]] = {}  # the block, and its size
        # By block: how many of these frames are in it. In what an earlier manager has left, one
        # that was released long ago may stand beside the one that came in its place.
        self._frames_in: Counter[str] = Counter()
        self._rooms: dict[str, int] = {}  # by block: bytes
        # What a reference's end leads to, whichever thread it comes on, is done in `settle`.
        self._dropped: deque[Key] = deque()
        # By the pid of a producer that is connected: how it is told.
        self._tell: dict[int, Callable[[list[int]], None]] = {}
        # What they are told comes when they are connected.
        self._living: set[int] = set()
        # By worker: what it was given and has not let go of.
        self._looks: dict[str, list[Kept]] = {}
        self._reader = FrameReader(folder)
        self.in_use = 0  # bytes

    def keep(self, payload: bytes) -> bytes:
        """The payload, as one that keeps its frame where it is a reference to one."""
        if isinstance(payload, Kept) or not is_reference(payload):
            return payload
        reference = decode(payload)
        kept = Kept(payload)
        kept.reference = reference
        kept.key = key = (reference.producer, reference.frame)
        kept.dropped = self._dropped.append
        if key not in self._count:
            self._count[key] = 0
            room = room_for(reference.size)
            self._blocks[key] = reference.block, room
            if not self._frames_in[reference.block]:
                self._rooms[reference.block] = room
                self.in_use += room
            self._frames_in[reference.block] += 1
        self._count[key] += 1
        return kept

    def look(self, worker: str, references: list[bytes]) -> None:
        """A worker looks at these, answered or not; and at no others."""
        before = self._looks.pop(worker, [])
        if references:
            kept = map(self.keep, references)
            self._looks[worker] = [each for each in kept if isinstance(each, Kept)]
        del before

    @property
    def needed(self) -> int:
        """Bytes of frames that are needed for items, rather than kept by stages for themselves."""
        if not self._looks:
            return self.in_use
        kept = {each.key for looks in self._looks.values() for each in looks}
        alone = [key for key in kept if self._count[key] <= self._looks_at(key)]
        return self.in_use - sum(self._blocks[key][1] for key in alone)

    @property
    def is_scarce(self) -> bool:
        """Whether producers may soon have no room, so that each has to know at once of any."""
        return 4 * self.in_use > self.limit

    def _looks_at(self, key: Key) -> int:
        return sum(each.key == key for looks in self._looks.values() for each in looks)

    def keep_within(self, values: Any) -> Any:
        """Tables, lists and tuples with every payload in them as one that keeps its frame."""
        if isinstance(values, bytes):
            return self.keep(values)
        if isinstance(values, dict):
            return {key: self.keep_within(each) for key, each in values.items()}
        if isinstance(values, (list, tuple)):
            return type(values)(self.keep_within(each) for each in values)
        return values

    def settle(self) -> bool:
        """Tell producers which of their frames nobody needs any more; whether there were any."""
        if not self._dropped:
            return False
        released: dict[int, list[int]] = {}
        before = self.in_use
        while self._dropped:
            key = self._dropped.popleft()
            self._count[key] -= 1
            if self._count[key]:
                continue
            del self._count[key]
            block, _ = self._blocks.pop(key)
            self._frames_in[block] -= 1
            is_last = not self._frames_in[block]
            if is_last:
                del self._frames_in[block]
                self.in_use -= self._rooms.pop(block)
            producer, frame = key
            if producer in self._tell:
                empty_block(f'{self._folder}/{block}', frame)
                released.setdefault(producer, []).append(frame)
            elif producer not in self._living and is_last:
                remove_block(self._folder / block)
        for producer, frames in released.items():
            self._tell[producer](frames)
        return self.in_use < before

    def joined(self, pid: int, tell: Callable[[list[int]], None]) -> set[int]:
        """A producer lives, and is connected; returns its frames that are needed.

        ``tell``: called with those that are needed no more.
        """
        self._living.add(pid)
        self._tell[pid] = tell
        return {frame for producer, frame in self._count if producer == pid}

    def gone(self, pid: int) -> None:
        """A producer is dead: its blocks go, but for those that are needed."""
        self._living.discard(pid)
        self._tell.pop(pid, None)
        for path in blocks_of(self._folder, f'{pid}.'):
            if path.name not in self._frames_in:
                remove_block(path)

    def sweep(self, living: set[int]) -> None:
        """Take away what nobody needs of producers that are not among the living."""
        self._living |= living
        pids = {path.name.partition('.')[0] for path in blocks_of(self._folder, '')}
        for pid in pids:
            if pid.isdecimal() and int(pid) not in living:
                self.gone(int(pid))

    def whole(self, payload: bytes) -> bytes:
        """The serialised message; of a reference, with its frame. Raises FrameGoneError."""
        if not is_reference(payload):
            return payload
        reference = decode(payload)
        data = self._reader.read(reference.block, reference.frame, reference.size)
        return frame_reference.whole(reference, data)
