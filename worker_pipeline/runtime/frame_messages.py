"""A worker's messages and their serialised form, large ones by way of shared memory.

A stage sees ordinary messages. What it is given may have its ``data`` in shared memory, as a
read-only ``memoryview``: numpy and OpenCV look at it where it is. It stays what it is for as long
as somebody looks: the stage that works on it, and one that has kept it, or an array made of it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message, serialize_message

from worker_pipeline.runtime import frame_reference
from worker_pipeline.runtime.frame_blocks import FrameReader, FrameWriter, NoRoomError
from worker_pipeline.runtime.frame_reference import (
    Reference,
    bytes_after,
    decode,
    encode,
    is_reference,
)

# Less than this costs less to send than to speak of, bytes.
LEAST = 64 * 1024
_LENGTH_SIZE = 4


class FrameMessages:
    """Serialises and deserialises; one worker's, by its main thread.

    ``tell`` is told, once, that frames go the ordinary way as there is no room for them.
    """

    def __init__(
        self,
        input_type: Any,
        output_type: Any,
        writer: FrameWriter | None,
        reader: FrameReader,
        tell: Callable[[str], None],
    ) -> None:
        self._input_type = input_type
        self._writer = writer
        self._reader = reader
        self._tell = tell
        self._told = False
        self._after = bytes_after(output_type)
        # Frames are released at once, by whoever reads the line: others may wait for their room.
        self._writing = threading.Lock()
        self._looking = threading.Lock()
        self._looked_at: list[tuple[bytes, weakref.ref[Any]]] = []

    def deserialize(self, item: bytes) -> Any:
        """An input message. Raises FrameGoneError where its frame is not there any more."""
        if not is_reference(item):
            return deserialize_message(item, self._input_type)
        reference = decode(item)
        frame = self._reader.read(reference.block, reference.frame, reference.size)
        message = deserialize_message(reference.rest, self._input_type)
        # The setter would copy it.
        message._data = memoryview(frame.data)
        with self._looking:
            self._looked_at.append((item, weakref.ref(frame)))
        return message

    def looked_at(self) -> list[bytes]:
        """The references of frames that were given out and that somebody still looks at."""
        with self._looking:
            self._looked_at = [each for each in self._looked_at if each[1]() is not None]
            return [item for item, _ in self._looked_at]

    def release(self, frames: list[int]) -> None:
        """Nobody needs these frames of ours any more. Any thread may call."""
        if self._writer is not None:
            with self._writing:
                for frame in frames:
                    self._writer.release(frame)

    def release_all_but(self, frames: list[int], last: int) -> None:
        """Of those up to ``last`` nobody needs any others. Any thread may call."""
        if self._writer is not None:
            with self._writing:
                self._writer.release_all_but(set(frames), last)

    def whole(self, payload: bytes) -> bytes:
        """The serialised message, with its data where it is a reference."""
        if not is_reference(payload):
            return payload
        reference = decode(payload)
        data = self._reader.read(reference.block, reference.frame, reference.size)
        return frame_reference.whole(reference, data.data)

    def serialize(self, message: Any) -> bytes:
        """An output message's bytes, or a reference to them."""
        if self._after is None or self._writer is None:
            return bytes(serialize_message(message))
        data = memoryview(message.data).cast('B')
        if len(data) < LEAST:
            return bytes(serialize_message(message))
        try:
            with self._writing:
                frame, block = self._writer.write(data)
        except NoRoomError as error:
            if not self._told:
                self._told = True
                self._tell(f'frames go by sockets instead of shared memory: {error}')
            return bytes(serialize_message(message))
        whole = message._data
        message._data = b''
        try:
            rest = bytes(serialize_message(message))
        except BaseException:
            self.release([frame])  # nobody will hear of it
            raise
        finally:
            message._data = whole
        position = len(rest) - _LENGTH_SIZE - self._after
        return encode(Reference(frame, len(data), position, block, rest))


def make_writer(folder: Path, pid: int, limit: int) -> FrameWriter | None:
    """A producer's blocks; None where there are to be none. ``limit``: bytes; 0: none."""
    return FrameWriter(folder, f'{pid}.', limit) if limit else None
