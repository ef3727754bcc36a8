# SPDX-License-Identifier: Apache-2.0
"""Serialises a worker's messages, with large data in shared memory.

A stage sees ordinary messages. The ``data`` of its input may be a read-only ``memoryview`` of
shared memory, which numpy and OpenCV read in place. It stays valid for as long as the stage
references it or an array made of it. The ``data`` of its output is copied into shared memory once;
or never, if it is there already: as input that is passed on, or in a borrowed array.
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

from worker_pipeline.frames.buffers import accept_buffers
from worker_pipeline.frames.reader import FrameReader
from worker_pipeline.frames.reference import (
    MIN_FRAME_BYTES,
    FrameNumber,
    Reference,
    bytes_after_data,
    decode,
    encode,
    insert_data,
    is_reference,
)
from worker_pipeline.frames.template import MessageTemplate
from worker_pipeline.frames.writer import FrameWriter, NoRoomError, address_of

_LENGTH_SIZE = 4
Array = npt.NDArray[np.uint8]
# A frame's number and block; and its read-only view, if that has replaced the message's data.
WrittenFrame = tuple[FrameNumber, str, Array | None]


class FrameCodec:
    """Serialises and deserialises one worker's messages, on its main thread.

    Args:
        input_type: The stage's input type.
        output_type: The stage's output type.
        writer: Writes output frames; None if no shared memory is to be used.
        reader: Reads input frames.
        warn: Called once with a warning if there is no memory for a frame.
    """

    def __init__(
        self,
        input_type: Any,
        output_type: Any,
        writer: FrameWriter | None,
        reader: FrameReader,
        warn: Callable[[str], None],
    ) -> None:
        for each in (input_type, output_type):
            accept_buffers(each)
        self._input_type = input_type
        self._template = MessageTemplate(input_type)
        self._writer = writer
        self._reader = reader
        self._warn = warn
        self._warned = False
        self._bytes_after_data = bytes_after_data(output_type)
        # The thread that reads the channel releases frames: other workers may wait for the memory.
        self._write_lock = threading.Lock()
        self._retained_lock = threading.Lock()
        self._retained: list[tuple[bytes, weakref.ref[Any]]] = []

    def deserialize(self, item: bytes) -> Any:
        """Return an input message. Raises FrameGoneError if its frame no longer exists."""
        if not is_reference(item):
            return deserialize_message(item, self._input_type)
        reference = decode(item)
        frame = self._reader.read(reference.block, reference.frame, reference.size)
        message = self._template.deserialize(reference.stripped)
        # The setter would copy it.
        message._data = memoryview(frame.data)
        with self._retained_lock:
            self._retained.append((item, weakref.ref(frame)))
        return message

    def prepare(self) -> None:
        """Prepare for the next item, while there is time."""
        self._template.prepare()

    def retained_frames(self) -> list[bytes]:
        """Return the references of the frames that the stage still uses."""
        if not self._retained:
            return []
        with self._retained_lock:
            self._retained = [each for each in self._retained if each[1]() is not None]
            return [item for item, _ in self._retained]

    def release(self, frames: list[FrameNumber]) -> None:
        """Free unreferenced frames of this worker. Any thread may call."""
        if self._writer is not None:
            with self._write_lock:
                for frame in frames:
                    self._writer.release(frame)

    def release_except(self, in_use: list[FrameNumber], last: FrameNumber) -> None:
        """Free all frames up to the number ``last`` but those in use. Any thread may call."""
        if self._writer is not None:
            with self._write_lock:
                self._writer.release_except(set(in_use), last)

    def restore_missing_frames(self) -> None:
        """Write frames of this worker again whose files are gone. Any thread may call."""
        if self._writer is not None:
            with self._write_lock:
                self._writer.restore_missing()

    def materialize(self, payload: bytes) -> bytes:
        """Return the whole serialised message, with its data. Raises FrameGoneError."""
        if not is_reference(payload):
            return payload
        reference = decode(payload)
        data = self._reader.read(reference.block, reference.frame, reference.size)
        return insert_data(reference, data.data)

    def serialize(self, message: Any) -> bytes:
        """Return an output message's bytes, or a reference to them."""
        if self._bytes_after_data is None or self._writer is None:
            return bytes(serialize_message(message))
        size = memoryview(message.data).nbytes
        if size < MIN_FRAME_BYTES:
            return bytes(serialize_message(message))
        stripped = _serialize_without_data(message)
        length_offset = len(stripped) - _LENGTH_SIZE - self._bytes_after_data
        try:
            frame, block, view = self._find_retained(message) or self._write(self._writer, message)
        except NoRoomError as error:
            if not self._warned:
                self._warned = True
                self._warn(f'frames are sent by socket instead of shared memory: {error}')
            return bytes(serialize_message(message))
        payload = encode(Reference(frame, size, length_offset, block, stripped))
        if view is not None:
            with self._retained_lock:
                self._retained.append((payload, weakref.ref(view)))
        return payload

    def loan(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an uninitialised array for an output's ``data``, in shared memory if possible.

        Any thread may call.
        """
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        writer = self._writer
        if writer is not None and self._bytes_after_data is not None and size >= MIN_FRAME_BYTES:
            with contextlib.suppress(NoRoomError), self._write_lock:
                return writer.loan(size).view(kind).reshape(shape)
        return np.empty(shape, kind)

    def _write(self, writer: FrameWriter, message: Any) -> WrittenFrame:
        """Make a frame of the message's data."""
        with self._write_lock:
            data = memoryview(message.data).cast('B')
            if writer.loans and (address := _address_of(data)) in writer.loans:
                # Without the message's own reference the array is garbage-collected, unless the
                # stage has kept one. With that it could write while others read.
                size = len(data)
                del data
                message._data = b''
                kept = writer.loaned_array(address)
                if kept is None:
                    frame, block, view = writer.write_loaned(address, size)
                    message._data = view.data
                    return frame, block, view
                data = message._data = kept.data[:size]
            return *writer.write(data), None

    def _find_retained(self, message: Any) -> WrittenFrame | None:
        """Return the existing frame that the message's data is: an input or an earlier output."""
        data = memoryview(message.data)
        if not data.readonly:  # as all views of frames are
            return None
        extent = _extent_of(np.frombuffer(data, np.uint8))
        with self._retained_lock:
            for item, retained in self._retained:
                frame = retained()
                if frame is not None and _extent_of(frame) == extent:
                    reference = decode(item)
                    return reference.frame, reference.block, None
        return None


def _serialize_without_data(message: Any) -> bytes:
    """Return the serialised message with ``data`` empty."""
    data = message._data
    message._data = b''
    try:
        return bytes(serialize_message(message))
    finally:
        message._data = data


def _extent_of(array: Array) -> tuple[int, int]:
    """Return the address and the size of an array's bytes."""
    return address_of(array), array.nbytes


def _address_of(data: memoryview) -> int:
    return address_of(np.frombuffer(data, np.uint8))


def make_writer(folder: Path, pid: int, limit: int) -> FrameWriter | None:
    """Return the writer of a process; None if it may use no shared memory.

    Args:
        folder: Where the blocks are created.
        pid: The process, with whose pid the names of its blocks begin.
        limit: The memory that all writers of the folder may take together, bytes; may be 0.
    """
    return FrameWriter(folder, f'{pid}.', limit) if limit else None
