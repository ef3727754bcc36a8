# SPDX-License-Identifier: Apache-2.0
"""The meaning of each packet of a worker for the items of its stage."""

from __future__ import annotations

import pytest
from support.dispatching import Flow, stage
from support.fake_nodes import FakeLogger

from worker_pipeline.frames.blocks import block_size
from worker_pipeline.frames.reference import (
    MAGIC,
    MIN_FRAME_BYTES,
    FrameNumber,
    Reference,
    encode,
)
from worker_pipeline.frames.registry import FrameRegistry, TrackedReference
from worker_pipeline.manager.answer_handler import AnswerHandler
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.protocol.channel import Packet, PacketType, ProtocolError
from worker_pipeline.protocol.packets import (
    WorkerStatus,
    answer_packet,
    frames_retained_packet,
    status_packet,
)
from worker_pipeline.ros.throttled_log import ThrottledLog

SIZE = 100_000


class Bench:
    """A stage with four items at its worker, and the handler of its answers."""

    def __init__(self, folder, makes_frames=True):
        self.flow = Flow(a=stage(concurrency=4, max_attempts=2, ordered=False))
        self.flow.receive('a', 1, 2, 3, 4, 5)
        self.flow.take()
        self.logger = FakeLogger()
        self.frames = FrameRegistry(folder, 10**6)
        self.handler = AnswerHandler(
            self.flow.a, self.frames, 'std_msgs/msg/Header', makes_frames, ThrottledLog(self.logger)
        )

    def handle(self, *packets, pid=7):
        return self.handler.handle('w0', pid, list(packets))

    def answer(self, number, kind, text='', output=b''):
        return self.handle(answer_packet(Answer(number, kind, text, output)))

    @property
    def counters(self):
        return self.flow.a.ledger.counters


@pytest.fixture
def bench(tmp_path, clock):  # noqa: ARG001 - the handler reads it
    return Bench(tmp_path)


def reference(pid):
    return encode(Reference(FrameNumber(1), SIZE, 0, f'{pid}.1', bytes(16)))


def published(bench):
    return [each.payload for each in bench.flow.take() if type(each).__name__ == 'PublishOutput']


def test_an_output_completes_its_item(bench):
    bench.answer(1, answers.OUTPUT, output=b'output')
    assert bench.counters.completed == 1
    assert published(bench) == [b'output']


def test_all_packets_are_handled_before_the_next_item_is_sent(bench):
    """Once for all answers that came together."""
    called = []
    bench.flow.a.answers_received = lambda: called.append(bench.counters.completed)
    bench.handle(*(answer_packet(Answer(number, answers.NONE)) for number in (1, 2, 3)))
    assert called == [3]


def test_reports_alone_are_no_answers(bench):
    called = []
    bench.flow.a.answers_received = lambda: called.append(None)
    status = WorkerStatus({'state': 'active'}, '', '', '', {})
    assert bench.handle(status_packet(status)) == ([status], None, '')
    assert called == []


def test_the_frames_retained_last_count(bench):
    packets = [frames_retained_packet([reference(7)]), frames_retained_packet([])]
    assert bench.handle(*packets)[1] == []
    assert bench.handle()[1] is None


@pytest.mark.parametrize(
    'packet',
    [
        Packet(PacketType.OUTPUT, 2, MAGIC + b'too short'),
        Packet(PacketType.OUTPUT, 2, bytes(reference(7)).replace(b'7.1', b'../')),
        Packet(PacketType.OUTCOME, 2, b'done\n'),
        Packet(PacketType.STATUS, 0, b'{}'),
        Packet(PacketType.FRAMES_RETAINED, 0, b'123'),
    ],
)
def test_answers_before_a_bad_packet_count(bench, packet):
    """The next item is sent for them, and the worker is hung up on."""
    called = []
    bench.flow.a.answers_received = lambda: called.append(bench.counters.completed)
    with pytest.raises(ProtocolError, match=r'found .*; allowed: |no JSON'):
        bench.handle(answer_packet(Answer(1, answers.NONE)), packet)
    assert called == [1]
    assert bench.frames.in_use == 0


def test_no_output_completes_its_item_too(bench):
    bench.answer(1, answers.NONE)
    assert bench.counters.completed == 1
    assert published(bench) == []


def test_a_returned_item_is_sent_again(bench):
    bench.answer(1, answers.RETURNED)
    assert bench.counters.completed == 0
    assert ('a', 'w0', 1) in bench.flow.sent()


def test_a_failed_item_is_tried_again_and_its_cause_returned(bench):
    assert bench.answer(1, answers.ERROR, 'ValueError: no')[2] == 'ValueError: no'
    assert ('a', 'w0', 1) in bench.flow.sent()
    bench.answer(1, answers.ERROR, 'ValueError: no')
    assert bench.counters.quarantined == 1


def test_the_text_of_another_answer_is_no_failure(bench):
    assert bench.answer(1, answers.REFUSED, 'too short')[2] == ''


def test_a_refused_item_is_removed_and_logged(bench):
    bench.answer(1, answers.REFUSED, 'too short')
    text = 'w0: refused an item: not a valid std_msgs/msg/Header (too short)'
    assert bench.logger.warnings == [text]
    assert bench.counters.refused == 1


def test_the_end_of_the_stream_exhausts_the_source(bench):
    bench.answer(1, answers.END_OF_STREAM)
    assert bench.flow.a.source.exhausted


# -- frames --------------------------------------------------------------------------------------


@pytest.fixture
def outputs(bench):
    """The frame memory that each output took, as the dispatcher learns it."""
    found = []
    received = bench.flow.a.output_received

    def output_received(worker, number, payload, now, frame_bytes=0):
        found.append((type(payload), frame_bytes))
        received(worker, number, payload, now, frame_bytes)

    bench.flow.a.output_received = output_received
    return found


def test_a_frame_that_the_worker_has_made_counts(bench, outputs):
    bench.answer(1, answers.OUTPUT, output=reference(7))
    assert outputs == [(TrackedReference, block_size(SIZE))]


def test_a_frame_that_the_worker_passes_on_takes_no_more_memory(bench, outputs):
    bench.answer(1, answers.OUTPUT, output=reference(8))
    assert outputs == [(TrackedReference, 0)]


@pytest.mark.parametrize('pid', [7, 8])
def test_a_saved_output_is_booked_as_one_that_was_sent(tmp_path, pid, clock):  # noqa: ARG001
    """Its frame counts alike: the stage's next item needs as much memory."""
    booked = []
    for saved in (True, False):
        bench = Bench(tmp_path)
        answer = Answer(1, answers.OUTPUT, output=reference(pid))
        if saved:
            bench.handler.book('w0', 7, answer, 0.0)
        else:
            bench.handle(answer_packet(answer))
        assert bench.counters.completed == 1
        assert bench.frames.in_use == block_size(SIZE)
        bench.flow.a.ledger.assign('w0')
        booked.append(bench.flow.a.budget.committed_bytes('a') > 0)
    assert booked == [pid == 7] * 2


@pytest.mark.parametrize('saved', [True, False])
def test_a_large_saved_output_outside_of_shared_memory_is_counted_too(bench, saved):
    answer = Answer(1, answers.OUTPUT, output=bytes(MIN_FRAME_BYTES + 1))
    if saved:
        bench.handler.book('w0', 7, answer, 0.0)
    else:
        bench.handle(answer_packet(answer))
    assert bench.handler.frames_sent_inline == 1


@pytest.mark.parametrize(
    ('makes_frames', 'size', 'count'),
    [(True, MIN_FRAME_BYTES + 1, 1), (True, MIN_FRAME_BYTES, 0), (False, MIN_FRAME_BYTES + 1, 0)],
)
def test_large_outputs_outside_of_shared_memory_are_counted(tmp_path, makes_frames, size, count):
    bench = Bench(tmp_path, makes_frames)
    bench.answer(1, answers.OUTPUT, output=bytes(size))
    assert bench.handler.frames_sent_inline == count
