# SPDX-License-Identifier: Apache-2.0
"""The manager's reference counting of frames.

The manager never reads a frame. It passes references on as payloads of items. While any payload
that refers to a frame exists in the manager (in a ledger, a queue or on its way out), the frame is
needed. So the garbage collection of such a payload is noticed: when the last one for a
frame is gone, its producer is notified, or, if that is dead, the block is removed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker_pipeline.frames.blocks import block_size, find_blocks, mark_free, remove_block
from worker_pipeline.frames.reader import FrameReader
from worker_pipeline.frames.reference import (
    FrameNumber,
    ReferencePayload,
    decode,
    insert_data,
    is_reference,
)

# The pid of a frame's producer, and the frame's number.
Key = tuple[int, FrameNumber]


class TrackedReference(ReferencePayload):
    """A payload that keeps its frame alive."""

    key: Key
    on_release: Callable[[Key], None]

    def __del__(self) -> None:
        self.on_release(self.key)


class FrameRegistry:
    """Counts the references to each frame.

    Args:
        folder: Where the blocks are. Their names begin with their producer's pid and a dot.
        limit: The shared memory that they may take together, bytes.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self.limit = limit
        self._count: dict[Key, int] = {}
        self._blocks: dict[Key, tuple[str, int]] = {}  # the block's name and size
        # By block: how many of these frames it holds. After a crash of the manager there may be
        # references to a frame released long ago beside those to the frame that replaced it.
        self._frames_in: Counter[str] = Counter()
        self._sizes: dict[str, int] = {}  # by block, bytes
        # Frames of references that have ended, on any thread; `release_unreferenced` handles
        # them on the manager's.
        self.unreferenced: deque[Key] = deque()
        # By the pid of a connected producer: notifies it of unreferenced frames.
        self._notify: dict[int, Callable[[list[FrameNumber]], None]] = {}
        # Producers that are alive. Those not connected yet are notified when they connect.
        self._living: set[int] = set()
        # By worker: the frames that it was given and still uses.
        self._retained: dict[str, list[TrackedReference]] = {}
        self._reader = FrameReader(folder)
        self.in_use = 0  # bytes

    def track(self, payload: bytes) -> bytes:
        """Return the payload; if it is a reference, as one that keeps its frame alive."""
        if isinstance(payload, TrackedReference) or not is_reference(payload):
            return payload
        reference = decode(payload)
        tracked = TrackedReference(payload)
        tracked.reference = reference
        tracked.key = key = (reference.producer, reference.frame)
        tracked.on_release = self.unreferenced.append
        if key not in self._count:
            self._count[key] = 0
            size = block_size(reference.size)
            self._blocks[key] = reference.block, size
            if not self._frames_in[reference.block]:
                self._sizes[reference.block] = size
                self.in_use += size
            self._frames_in[reference.block] += 1
        self._count[key] += 1
        return tracked

    def set_retained(self, worker: str, references: list[bytes]) -> None:
        """Set the frames that a worker still uses, besides those of its unanswered items."""
        before = self._retained.pop(worker, [])
        if references:
            tracked = map(self.track, references)
            self._retained[worker] = [
                each for each in tracked if isinstance(each, TrackedReference)
            ]
        del before

    @property
    def needed(self) -> int:
        """Return the bytes of frames that items need.

        That is, without those only retained by stages, and those about to be released.
        """
        if not self._retained and not self.unreferenced:
            return self.in_use
        unneeded = Counter(each.key for frames in self._retained.values() for each in frames)
        for index in range(len(self.unreferenced)):  # no iterator: other threads append
            unneeded[self.unreferenced[index]] += 1
        blocks = Counter(
            self._blocks[key][0] for key, count in unneeded.items() if self._count[key] <= count
        )
        return self.in_use - sum(
            self._sizes[block] for block, count in blocks.items() if count == self._frames_in[block]
        )

    @staticmethod
    def frame_of(payload: Any) -> Key | None:
        """Return the frame that a payload refers to; None if it is a whole message."""
        return payload.key if isinstance(payload, TrackedReference) else None

    @property
    def is_low(self) -> bool:
        """Return whether memory is low: producers should be notified of each free frame at once."""
        return 4 * self.in_use > self.limit

    @property
    def has_blocks(self) -> bool:
        """Return whether there is any frame that a payload could refer to."""
        return next(find_blocks(self._folder, ''), None) is not None

    def track_nested(self, values: Any) -> Any:
        """Return a copy of nested dicts, lists and tuples with every payload tracked."""
        if isinstance(values, bytes):
            return self.track(values)
        if isinstance(values, dict):
            return {key: self.track_nested(each) for key, each in values.items()}
        if isinstance(values, (list, tuple)):
            return type(values)(self.track_nested(each) for each in values)
        return values

    def release_unreferenced(self) -> bool:
        """Notify producers of unreferenced frames; return whether memory was freed.

        The blocks of dead producers are removed.
        """
        if not self.unreferenced:
            return False
        freed: dict[int, list[FrameNumber]] = {}
        before = self.in_use
        while self.unreferenced:
            key = self.unreferenced.popleft()
            self._count[key] -= 1
            if self._count[key]:
                continue
            del self._count[key]
            block, _ = self._blocks.pop(key)
            self._frames_in[block] -= 1
            is_last = not self._frames_in[block]
            if is_last:
                del self._frames_in[block]
                self.in_use -= self._sizes.pop(block)
            producer, frame = key
            if producer in self._notify:
                mark_free(f'{self._folder}/{block}', frame)
                freed.setdefault(producer, []).append(frame)
            elif producer not in self._living and is_last:
                remove_block(self._folder / block)
        for producer, frames in freed.items():
            self._notify[producer](frames)
        return self.in_use < before

    def producer_connected(
        self, pid: int, notify: Callable[[list[FrameNumber]], None]
    ) -> set[FrameNumber]:
        """Register a connected producer; return the numbers of its frames that are needed.

        ``notify``: called with the numbers of unreferenced frames.
        """
        self._living.add(pid)
        self._notify[pid] = notify
        return {frame for producer, frame in self._count if producer == pid}

    def producer_died(self, pid: int) -> None:
        """Remove a dead producer's blocks, except those with frames that are needed."""
        self._living.discard(pid)
        self._notify.pop(pid, None)
        for path in find_blocks(self._folder, f'{pid}.'):
            if path.name not in self._frames_in:
                remove_block(path)

    def sweep(self, living: set[int]) -> None:
        """Remove unneeded blocks of producers that are not among the living."""
        self._living |= living
        pids = {path.name.partition('.')[0] for path in find_blocks(self._folder, '')}
        for pid in pids:
            if pid.isdecimal() and int(pid) not in living:
                self.producer_died(int(pid))

    def materialize(self, payload: bytes) -> bytes:
        """Return the whole serialised message, with its data. Raises FrameGoneError."""
        if not is_reference(payload):
            return payload
        reference = decode(payload)
        data = self._reader.read(reference.block, reference.frame, reference.size)
        return insert_data(reference, data)
