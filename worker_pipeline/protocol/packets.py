# SPDX-License-Identifier: Apache-2.0
"""The content of each packet, written by one end and read by the other."""

from __future__ import annotations

import marshal
from collections.abc import Iterable
from typing import NamedTuple

from worker_pipeline.frames.reference import FrameNumber
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.protocol.channel import Packet, PacketType


def hello_packet(stage: str, slot: str, received: list[int], last_frame: FrameNumber) -> Packet:
    """Return the packet that a worker sends first.

    Args:
        stage: The worker's stage.
        slot: The worker's slot, such as ``worker_0``.
        received: The numbers of the items that it has received, answered or not.
        last_frame: The number of the last frame that it has answered with; 0: none.
    """
    return Packet(PacketType.HELLO, last_frame, marshal.dumps((stage, slot, received)))


def read_hello(packet: Packet) -> tuple[str, str, set[int]]:
    """Return the stage, the slot and the numbers of the received items."""
    stage, slot, received = marshal.loads(packet.body)
    return stage, slot, set(received)


class WorkerStatus(NamedTuple):
    """The state and health of a worker, sent with each heartbeat."""

    values: dict[str, str]  # its ``state``, ``processed``, ``in_flight`` and ``busy_s``
    failure: str  # the error of a hook; '' if none failed
    level: str  # the stage's own health report: level, message and
    message: str  # values, as in ``worker_pipeline.StageStatus``
    own: dict[str, str]


def status_packet(status: WorkerStatus) -> Packet:
    """Return a packet with a worker's status."""
    return Packet(PacketType.STATUS, 0, marshal.dumps(tuple(status)))


def read_status(packet: Packet) -> WorkerStatus:
    """Return the status in a packet."""
    return WorkerStatus(*marshal.loads(packet.body))


def frames_retained_packet(references: list[bytes]) -> Packet:
    """Return a packet with the references of the frames that a worker still uses."""
    return Packet(PacketType.FRAMES_RETAINED, 0, marshal.dumps(references))


def read_frames_retained(packet: Packet) -> list[bytes]:
    """Return the references in a packet."""
    return list(marshal.loads(packet.body))


def pack_frame_numbers(frames: Iterable[FrameNumber]) -> bytes:
    """Return the body of a FRAMES_FREED or FRAMES_IN_USE packet."""
    return marshal.dumps(list(frames))


def read_frame_numbers(body: bytes) -> list[FrameNumber]:
    """Return the numbers in the body of a FRAMES_FREED or FRAMES_IN_USE packet."""
    return list(marshal.loads(body))


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
    kind, _, text = packet.body.decode().partition('\n')
    return Answer(packet.number, kind, text)
