# SPDX-License-Identifier: Apache-2.0
"""A worker's packets: the meaning of each for the flow of items."""

from __future__ import annotations

import time

from worker_pipeline.core.stage_dispatcher import StageDispatcher
from worker_pipeline.frames.blocks import block_size
from worker_pipeline.frames.reference import (
    MIN_FRAME_BYTES,
    BadReferenceError,
    bytes_after_data,
)
from worker_pipeline.frames.registry import FrameRegistry, TrackedReference
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.protocol.channel import Packet, PacketType, ProtocolError
from worker_pipeline.protocol.packets import (
    WorkerStatus,
    read_answer,
    read_frames_retained,
    read_status,
)
from worker_pipeline.ros import message_types
from worker_pipeline.ros.throttled_log import ThrottledLog


def makes_frames(output_type: str, frames: FrameRegistry) -> bool:
    """Return whether messages of a type go through shared memory. ``output_type``: its name."""
    data = bytes_after_data(message_types.class_of(output_type))
    return data is not None and frames.limit > 0


class AnswerHandler:
    """Books the answers of one stage's workers with its dispatcher.

    Args:
        stage: the stage's dispatcher.
        frames: keeps frames while anything refers to them.
        input_type: the name of the stage's input type, for log messages.
        makes_frames: whether large outputs are expected in shared memory.
        log: of the stage.
    """

    def __init__(
        self,
        stage: StageDispatcher,
        frames: FrameRegistry,
        input_type: str,
        makes_frames: bool,
        log: ThrottledLog,
    ) -> None:
        self._stage = stage
        self._frames = frames
        self._input_type = input_type
        self._makes_frames = makes_frames
        self._log = log
        self.frames_sent_inline = 0  # large outputs that shared memory had no room for

    def handle(
        self, worker: str, pid: int, packets: list[Packet]
    ) -> tuple[list[WorkerStatus], list[bytes] | None, str]:
        """Book all answers among a worker's packets.

        Args:
            worker: its slot's name.
            pid: its process.
            packets: its packets, in order.

        Returns:
            Its reports of its state; the frames that it retains, None where it sent no change; and
            the last cause of a failed item, '' without one.

        Raises ProtocolError: a packet is none of a worker.
        """
        stage, reports, retained, failure = self._stage, [], None, ''
        answered, now = False, time.monotonic()
        try:
            for packet in packets:
                kind = packet.kind
                if kind == PacketType.OUTPUT:
                    self._output(worker, pid, packet.number, packet.body, now)
                    answered = True
                elif kind == PacketType.STATUS:
                    reports.append(read_status(packet))
                elif kind == PacketType.FRAMES_RETAINED:
                    retained = read_frames_retained(packet)
                else:
                    answer = read_answer(packet)
                    if answer.kind == answers.ERROR:
                        failure = answer.text
                    self.book(worker, pid, answer, now)
                    answered = True
        finally:  # answers before a packet that is none count
            if answered:
                stage.answers_received()
        return reports, retained, failure

    def _output(self, worker: str, pid: int, number: int, body: bytes, now: float) -> None:
        try:
            payload = self._frames.track(body)
        except BadReferenceError as error:
            raise ProtocolError(str(error)) from None
        frame_bytes = 0
        if isinstance(payload, TrackedReference):
            reference = payload.reference
            # A frame that the worker was given and passes on takes no more memory.
            if reference.producer == pid:
                frame_bytes = block_size(reference.size)
        elif self._makes_frames and len(payload) > MIN_FRAME_BYTES:
            self.frames_sent_inline += 1
        self._stage.output_received(worker, number, payload, now, frame_bytes)

    def book(self, worker: str, pid: int, answer: Answer, now: float) -> None:
        """Book one answer.

        Args:
            worker: the slot's name of the worker that gave it.
            pid: the worker's process; 0 if not known.
            answer: its answer.
            now: s.
        """
        stage, number, kind = self._stage, answer.number, answer.kind
        if kind == answers.OUTPUT:
            self._output(worker, pid, number, answer.output, now)
        elif kind == answers.NONE:
            stage.no_output_received(worker, number, now)
        elif kind == answers.RETURNED:
            stage.item_returned(worker, number, now)
        elif kind == answers.END_OF_STREAM:
            stage.stream_ended(worker, number, now)
        elif kind == answers.REFUSED:
            self._log.warning('refused', self._refusal_text, worker, answer.text)
            stage.item_refused(worker, number, now)
        else:
            stage.item_failed(worker, number, answer.text, now)

    def _refusal_text(self, worker: str, reason: str) -> str:
        return f'{worker}: refused an item: not a valid {self._input_type} ({reason})'
