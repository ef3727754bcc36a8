"""A worker's messages and their serialised form, large ones by way of shared memory.

A stage sees ordinary messages. What it is given may have its ``data`` in shared memory, as a
read-only ``memoryview``: numpy and OpenCV look at it where it is. It stays what it is for as long
as somebody looks: the stage that works on it, and one that has kept it, or an array made of it.
What it gives out is written into shared memory once; or not at all, if it is there already: as one
that it was given and passes on, or that it has written into memory that was lent to it.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.serialization import deserialize_message, serialize_message

from worker_pipeline.runtime import frame_reference
from worker_pipeline.runtime.frame_reader import FrameReader
from worker_pipeline.runtime.frame_reference import (
    LEAST,
    Reference,
    bytes_after,
    decode,
    encode,
    is_reference,
)
from worker_pipeline.runtime.frame_writer import FrameWriter, NoRoomError, address_of
from worker_pipeline.runtime.message_data import take_as_it_is
from worker_pipeline.runtime.message_template import MessageTemplate

_LENGTH_SIZE = 4
Array = npt.NDArray[np.uint8]
# A frame's number and block; and a look at it, where a message has got one instead of its bytes.
Made = tuple[int, str, Array | None]


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
        for each in (input_type, output_type):
            take_as_it_is(each)
        self._input_type = input_type
        self._template = MessageTemplate(input_type)
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
        message = self._template.deserialize(reference.rest)
        # The setter would copy it.
        message._data = memoryview(frame.data)
        with self._looking:
            self._looked_at.append((item, weakref.ref(frame)))
        return message

    def prepare(self) -> None:
        """Do what can be done before the next item is there."""
        self._template.prepare()

    def looked_at(self) -> list[bytes]:
        """The references of frames that were given out and that somebody still looks at."""
        if not self._looked_at:
            return []
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
        size = memoryview(message.data).nbytes
        if size < LEAST:
            return bytes(serialize_message(message))
        rest = _without_data(message)
        position = len(rest) - _LENGTH_SIZE - self._after
        try:
            frame, block, look = self._given_out(message) or self._write(self._writer, message)
        except NoRoomError as error:
            if not self._told:
                self._told = True
                self._tell(f'frames go by sockets instead of shared memory: {error}')
            return bytes(serialize_message(message))
        payload = encode(Reference(frame, size, position, block, rest))
        if look is not None:
            with self._looking:
                self._looked_at.append((payload, weakref.ref(look)))
        return payload

    def lend(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array to write an output's ``data`` to, in shared memory where there is room.

        Any thread may call.
        """
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        if self._writer is not None and self._after is not None and size >= LEAST:
            with contextlib.suppress(NoRoomError), self._writing:
                return self._writer.lend(size).view(kind).reshape(shape)
        return np.empty(shape, kind)

    def _write(self, writer: FrameWriter, message: Any) -> Made:
        """The frame that its bytes are made."""
        with self._writing:
            data = memoryview(message.data).cast('B')
            if writer.lends and (address := _address_of(data)) in writer.lends:
                # The stage has kept nothing of it if it is gone without the message's own bytes.
                # Otherwise it could write there, while others read.
                size = len(data)
                del data
                message._data = b''
                kept = writer.lent(address)
                if kept is None:
                    frame, block, look = writer.write_lent(address, size)
                    message._data = look.data
                    return frame, block, look
                data = message._data = kept.data[:size]
            return *writer.write(data), None

    def _given_out(self, message: Any) -> Made | None:
        """The frame that its very bytes are: one that is passed on, or given out once more."""
        data = memoryview(message.data)
        if not data.readonly:  # which those that we give out are
            return None
        place = _place_of(np.frombuffer(data, np.uint8))
        with self._looking:
            for item, seen in self._looked_at:
                frame = seen()
                if frame is not None and _place_of(frame) == place:
                    reference = decode(item)
                    return reference.frame, reference.block, None
        return None


def _without_data(message: Any) -> bytes:
    """The serialised message with ``data`` empty."""
    data = message._data
    message._data = b''
    try:
        return bytes(serialize_message(message))
    finally:
        message._data = data


def _place_of(array: Array) -> tuple[int, int]:
    """Where its bytes are, and how many."""
    return address_of(array), array.nbytes


def _address_of(data: memoryview) -> int:
    return address_of(np.frombuffer(data, np.uint8))


def make_writer(folder: Path, pid: int, limit: int) -> FrameWriter | None:
    """A producer's blocks; None where there are to be none. ``limit``: bytes; 0: none."""
    return FrameWriter(folder, f'{pid}.', limit) if limit else None
