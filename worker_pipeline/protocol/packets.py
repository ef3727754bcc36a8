# SPDX-License-Identifier: Apache-2.0
"""The content of each packet, written by one end and read by the other.

JSON and plain structures: unlike those of ``marshal`` and ``pickle``, their readers can be given
any bytes. What is not as it is written here raises ProtocolError.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from worker_pipeline.frames.reference import (
    BadReferenceError,
    FrameNumber,
    decode,
    is_reference,
)
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.protocol.channel import Packet, PacketType, ProtocolError

_LENGTH = struct.Struct('<I')
_NUMBER_SIZE = 8


def _pack(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode(errors='backslashreplace')


def _unpack(body: bytes, what: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f'found {what} that is no JSON: {error}') from None


def hello_packet(stage: str, slot: str, received: list[int], last_frame: FrameNumber) -> Packet:
    """Return the packet that a worker sends first.

    Args:
        stage: The worker's stage.
        slot: The worker's slot, such as ``worker_0``.
        received: The numbers of the items that it has received, answered or not.
        last_frame: The number of the last frame that it has answered with; 0: none.
    """
    return Packet(PacketType.HELLO, last_frame, _pack([stage, slot, received]))


def read_hello(packet: Packet) -> tuple[str, str, set[int]]:
    """Return the stage, the slot and the numbers of the received items."""
    match _unpack(packet.body, 'a hello'):
        case [str(stage), str(slot), [*received]] if all(type(each) is int for each in received):
            return stage, slot, set(received)
    raise ProtocolError('found another hello; allowed: a stage, a slot and the numbers of items')


class WorkerStatus(NamedTuple):
    """The state and health of a worker, sent with each heartbeat."""

    values: dict[str, str]  # its ``state``, ``processed``, ``in_flight`` and ``busy_s``
    failure: str  # the error of a hook; '' if none failed
    level: str  # the stage's own health report: level, message and
    message: str  # values, as in ``worker_pipeline.StageStatus``
    own: dict[str, str]


def status_packet(status: WorkerStatus) -> Packet:
    """Return a packet with a worker's status."""
    return Packet(PacketType.STATUS, 0, _pack(status))


def read_status(packet: Packet) -> WorkerStatus:
    """Return the status in a packet."""
    fields = _unpack(packet.body, 'a status')
    match fields:
        case [{'state': str()} as values, str(), str(), str(), {**own}] if all(
            type(each) is str for each in (*values.values(), *own.values())
        ):
            return WorkerStatus(*fields)
    raise ProtocolError('found another status; allowed: texts, with a state among the values')


def frames_retained_packet(references: list[bytes]) -> Packet:
    """Return a packet with the references of the frames that a worker still uses."""
    body = b''.join(part for each in references for part in (_LENGTH.pack(len(each)), each))
    return Packet(PacketType.FRAMES_RETAINED, 0, body)


def read_frames_retained(packet: Packet) -> list[bytes]:
    """Return the references in a packet."""
    body, at = packet.body, 0
    references: list[bytes] = []
    while at < len(body):
        begin = at + _LENGTH.size
        if begin > len(body):
            break
        at = begin + _LENGTH.unpack_from(body, at)[0]
        references.append(body[begin:at])
    if at != len(body) or not all(map(is_reference, references)):
        raise ProtocolError('found other bytes; allowed: references to frames')
    try:
        for each in references:
            decode(each)
    except BadReferenceError as error:
        raise ProtocolError(str(error)) from None
    return references


def pack_frame_numbers(frames: Iterable[FrameNumber]) -> bytes:
    """Return the body of a FRAMES_FREED or FRAMES_IN_USE packet."""
    numbers = [*frames]
    return struct.pack(f'<{len(numbers)}Q', *numbers)


def read_frame_numbers(body: bytes) -> list[FrameNumber]:
    """Return the numbers in the body of a FRAMES_FREED or FRAMES_IN_USE packet."""
    count, rest = divmod(len(body), _NUMBER_SIZE)
    if rest:
        raise ProtocolError(f'found {len(body)} bytes; allowed: numbers of frames, 8 bytes each')
    return list(struct.unpack(f'<{count}Q', body))


def answer_packet(answer: Answer) -> Packet:
    """Return the OUTPUT or OUTCOME packet for an answer."""
    if answer.kind == answers.OUTPUT:
        return Packet(PacketType.OUTPUT, answer.number, answer.output)
    return Packet(
        PacketType.OUTCOME,
        answer.number,
        f'{answer.kind}\n{answer.text}'.encode(errors='backslashreplace'),
    )


def read_answer(packet: Packet) -> Answer:
    """Return the answer in an OUTPUT or OUTCOME packet."""
    if packet.kind == PacketType.OUTPUT:
        return Answer(packet.number, answers.OUTPUT, output=packet.body)
    kind, _, text = packet.body.decode(errors='replace').partition('\n')
    if kind not in answers.WITHOUT_OUTPUT:
        allowed = ', '.join(sorted(answers.WITHOUT_OUTPUT))
        raise ProtocolError(f'found an answer {kind[:40]!r}; allowed: {allowed}')
    return Answer(packet.number, kind, text)
