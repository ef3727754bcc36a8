# SPDX-License-Identifier: Apache-2.0
"""A worker's side of the protocol: items in, answers out, frames accounted for.

Each item is answered exactly once. A new manager, the successor of one that died, first gets
all that its predecessor may not have read: the received items, the retained frames and the last
answers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from worker_pipeline.frames.codec import FrameCodec
from worker_pipeline.frames.reference import FrameNumber, decode, is_reference
from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.protocol.channel import Packet, PacketType
from worker_pipeline.protocol.packets import (
    WorkerStatus,
    answer_packet,
    frames_retained_packet,
    hello_packet,
    read_frame_numbers,
    status_packet,
)
from worker_pipeline.protocol.worker_spec import WorkerSpec
from worker_pipeline.recovery.state_dir import OrphanSnapshot
from worker_pipeline.worker.answer_mirror import AnswerMirror
from worker_pipeline.worker.manager_channel import ManagerChannel
from worker_pipeline.worker.stage_runner import StageRunner


class ManagerClient:
    """Exchanges packets with the manager. Any thread may call its methods.

    Set ``runner`` before the first connection.

    Args:
        spec: The worker's spec.
        codec: Knows the frames that the stage retains.
        recent: The last answers.
        mirror: Shows the answers to observers.
        get_status: Returns the worker's present status.
        request_transition: Called with the label of a lifecycle transition that the manager
            requests.
        set_sim_time: Called with whether ROS time is simulated.
        add_context: Called with the number of a context and a message of it.
    """

    runner: StageRunner

    def __init__(
        self,
        spec: WorkerSpec,
        codec: FrameCodec,
        recent: RecentAnswers,
        mirror: AnswerMirror,
        get_status: Callable[[], WorkerStatus],
        request_transition: Callable[[str], None],
        set_sim_time: Callable[[bool], None],
        add_context: Callable[[int, bytes], None],
    ) -> None:
        self.channel = ManagerChannel(Path(spec.socket), self._hello, self._handle)
        self._spec = spec
        self._codec = codec
        self._recent = recent
        self._mirror = mirror
        self._get_status = get_status
        self._request_transition = request_transition
        self._set_sim_time = set_sim_time
        self._add_context = add_context
        self._send_lock = threading.Lock()
        self._retained_frames: list[bytes] = []  # as last reported
        self._last_frame = FrameNumber(0)  # the last frame of this worker in an answer
        # The frames of this worker in the answers that the present manager was sent at connection.
        self._resent_frames: list[FrameNumber] = []

    # -- to the manager --------------------------------------------------------------------------

    def send_answer(self, answer: Answer) -> None:
        """Send the answer to an item; again, if the manager has sent the item again."""
        with self._send_lock:  # the main thread answers, other threads send answers again
            if is_reference(answer.output):
                self._last_frame = max([self._last_frame, *_own_frames([answer.output])])
            # Frames that the stage retains are reported before the answer, which completes the item
            # and so releases its frame. Frames that it has released are reported after the answer,
            # which may pass one of them on.
            retained = self._codec.retained_frames()
            if retained:
                self._send_retained_frames([*dict.fromkeys([*self._retained_frames, *retained])])
            self.channel.send(*answer_packet(answer))
            self._send_retained_frames(retained)
        if self._mirror.has_observers:
            self._mirror.publish(answer)

    def send_status(self, status: WorkerStatus) -> None:
        """Send the worker's status."""
        self.channel.send(*status_packet(status))

    def report_released_frames(self) -> None:
        """Report the frames that the stage has released since its last answer.

        Between two items, on the main thread: an answer in progress may pass a frame on.
        """
        if self._retained_frames and not self.runner.unanswered:
            self.runner.submit(self._report_retained_frames)

    def _report_retained_frames(self) -> None:
        with self._send_lock:
            self._send_retained_frames(self._codec.retained_frames())

    def _send_retained_frames(self, references: list[bytes]) -> None:
        if references != self._retained_frames:
            self._retained_frames = references
            self.channel.send(*frames_retained_packet(references))

    def _hello(self) -> Iterator[Packet]:
        """Yield the packets that a new manager is sent first."""
        # Answers are read last: an item may be answered meanwhile, and is then among them. So are
        # all frames up to the last one that an earlier manager may not know of; a frame that was
        # written for an answer to come has a higher number.
        last_frame = self._last_frame
        unanswered = list(self.runner.unanswered)
        recent = self._recent.all()
        received = [*unanswered, *(answer.number for answer in recent)]
        self._resent_frames = _own_frames(each.output for each in recent)
        yield hello_packet(self._spec.stage, self._spec.slot, received, last_frame)
        # Not as last reported: an answer may be among them whose frames were yet to be reported.
        retained = self._codec.retained_frames()
        kept = self._with_frames_passed_on(retained, recent)
        self._retained_frames = retained
        yield frames_retained_packet(kept)
        yield status_packet(self._get_status())
        for answer in recent:
            yield answer_packet(answer)
        if kept != retained:
            yield frames_retained_packet(retained)

    # -- from the manager ------------------------------------------------------------------------

    def _handle(self, packet: Packet) -> None:
        if packet.kind == PacketType.ITEM:
            self.runner.enqueue(packet.number, packet.body)
        elif packet.kind == PacketType.FRAMES_FREED:
            self._codec.release(read_frame_numbers(packet.body))
        elif packet.kind == PacketType.FRAMES_IN_USE:
            in_use = read_frame_numbers(packet.body)
            # The manager does not know yet which frames of its own answers the stage retains.
            retained = _own_frames(self._codec.retained_frames())
            last = FrameNumber(packet.number)
            self._codec.release_except([*in_use, *self._resent_frames, *retained], last)
        elif packet.kind == PacketType.CHANGE_STATE:
            self._request_transition(packet.body.decode(errors='replace'))
        elif packet.kind == PacketType.CONTEXT:
            self._add_context(packet.number, packet.body)
        elif packet.kind == PacketType.SIM_TIME:
            self._set_sim_time(bool(packet.number))

    # -- files -----------------------------------------------------------------------------------

    def keep_files(self, *, was_folder_gone: bool) -> None:
        """Write this worker's frames and saved state again, where their files are gone.

        ``was_folder_gone``: whether others of its files were.
        """
        self._codec.restore_missing_frames()
        if was_folder_gone:
            self.runner.submit(self.runner.save_again)

    # -- without a manager -----------------------------------------------------------------------

    def orphan_snapshot(self) -> OrphanSnapshot:
        """Return this process's own state while there is no manager."""
        unanswered = dict(self.runner.unanswered)
        retained = self._codec.retained_frames()
        return OrphanSnapshot(unanswered, self._with_frames_passed_on(retained, self._recent.all()))

    @staticmethod
    def _with_frames_passed_on(retained: list[bytes], recent: Iterable[Answer]) -> list[bytes]:
        """Return retained frames, and those of other processes in answers that are sent again.

        Until a new manager has these answers it knows of no item with such a frame, and would have
        its producer free it.
        """
        passed_on = (
            each.output
            for each in recent
            if is_reference(each.output) and not _own_frames([each.output])
        )
        return [*dict.fromkeys([*retained, *passed_on])]


def _own_frames(payloads: Iterable[bytes]) -> list[FrameNumber]:
    """Return the numbers of the frames in payloads that this process has made."""
    references = (decode(each) for each in payloads if is_reference(each))
    return [each.frame for each in references if each.producer == os.getpid()]
