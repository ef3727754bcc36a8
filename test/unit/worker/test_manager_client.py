# SPDX-License-Identifier: Apache-2.0
"""The packets of a worker, and its reaction to the manager's, without a socket and a stage."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from worker_pipeline.frames.reference import FrameNumber, Reference, encode
from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.protocol.channel import Packet, PacketType
from worker_pipeline.protocol.packets import (
    WorkerStatus,
    answer_packet,
    frames_retained_packet,
    hello_packet,
    pack_frame_numbers,
    read_frames_retained,
    read_hello,
    read_status,
    status_packet,
)
from worker_pipeline.recovery.state_dir import OrphanSnapshot
from worker_pipeline.worker.manager_client import ManagerClient

OWN = os.getpid()
OTHER = OWN + 1
STATUS = WorkerStatus({'state': 'active'}, '', '', '', {})


def frame(number: int, producer: int = OWN) -> bytes:
    """Return a reference to a frame."""
    return encode(Reference(FrameNumber(number), 100_000, 0, f'{producer}.1', bytes(16)))


def read(packets: Iterable[Packet]) -> list[Any]:
    """Return the kind, the number and the content of packets: equal bodies may differ in bytes."""
    readers = {
        PacketType.HELLO: read_hello,
        PacketType.FRAMES_RETAINED: read_frames_retained,
        PacketType.STATUS: read_status,
    }
    return [
        (each.kind, each.number, readers[each.kind](each) if each.kind in readers else each.body)
        for each in packets
    ]


class Codec:
    """Knows which frames the stage retains, and which were released."""

    def __init__(self) -> None:
        self.retained: list[bytes] = []
        self.released: list[list[int]] = []
        self.kept: list[tuple[list[int], int]] = []

    def retained_frames(self) -> list[bytes]:
        return list(self.retained)

    def release(self, frames: list[int]) -> None:
        self.released.append(frames)

    def release_except(self, frames: list[int], last: int) -> None:
        self.kept.append((sorted(frames), last))


class Runner:
    """Keeps its items; runs submitted calls when the test says so."""

    def __init__(self) -> None:
        self.unanswered: dict[int, bytes] = {}
        self.submitted: list = []

    def enqueue(self, number: int, item: bytes) -> None:
        self.unanswered[number] = item

    def submit(self, call) -> None:
        self.submitted.append(call)


class Mirror:
    has_observers = False

    def __init__(self) -> None:
        self.published: list[Answer] = []

    def publish(self, answer: Answer) -> None:
        self.published.append(answer)


class Worker:
    """A client whose channel keeps what is sent."""

    def __init__(self, folder) -> None:
        spec = SimpleNamespace(stage='s', slot='worker_0', socket=str(folder / 'socket'))
        self.codec, self.runner, self.mirror = Codec(), Runner(), Mirror()
        self.recent = RecentAnswers(2)
        self.transitions: list[str] = []
        self.sim_times: list[bool] = []
        self.contexts: list[tuple[int, bytes]] = []
        self.client = ManagerClient(
            spec,  # type: ignore[arg-type]
            self.codec,  # type: ignore[arg-type]
            self.recent,
            self.mirror,  # type: ignore[arg-type]
            lambda: STATUS,
            self.transitions.append,
            self.sim_times.append,
            lambda number, message: self.contexts.append((number, message)),
        )
        self.client.runner = self.runner  # type: ignore[assignment]
        self._sent: list[Packet] = []
        self.client.channel.close()
        self.client.channel = SimpleNamespace(  # type: ignore[assignment]
            send=lambda *packet: self._sent.append(Packet(*packet))
        )

    def sent(self) -> list[Any]:
        """Return what was sent since the last call."""
        sent, self._sent[:] = self._sent[:], []
        return read(sent)

    def hello(self) -> list[Any]:
        """Connect to a new manager. Returns the packets that it gets."""
        return read(self.client._hello())

    def answer(self, number: int, output: bytes = b'out') -> Answer:
        """Answer an item, as the runner does."""
        answer = Answer(number, answers.OUTPUT, output=output)
        self.recent.add(answer)
        self.runner.unanswered.pop(number, None)
        self.client.send_answer(answer)
        return answer

    def handle(self, kind: PacketType, number: int = 0, body: bytes = b'') -> None:
        self.client._handle(Packet(kind, number, body))


@pytest.fixture
def worker(tmp_path) -> Worker:
    return Worker(tmp_path)


# -- to the manager ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'answer', [Answer(3, answers.OUTPUT, output=b'out'), Answer(3, answers.ERROR, 'it failed')]
)
def test_an_answer_is_one_packet(worker, answer):
    """Where the stage retains no frame, nothing else is sent."""
    worker.client.send_answer(answer)
    assert worker.sent() == read([answer_packet(answer)])


def test_the_status_is_sent_as_it_is(worker):
    worker.client.send_status(STATUS)
    assert worker.sent() == read([status_packet(STATUS)])


@pytest.mark.parametrize('has_observers', [True, False])
def test_an_answer_is_mirrored_while_anyone_observes(worker, has_observers):
    worker.mirror.has_observers = has_observers
    answer = worker.answer(1)
    assert worker.mirror.published == [answer] * has_observers


def test_retained_frames_are_reported_before_the_answer_that_releases_them(worker):
    """The answer completes the item, and so releases the item's frame."""
    worker.codec.retained = [frame(5, OTHER)]
    answer = worker.answer(1)
    assert worker.sent() == read([frames_retained_packet([frame(5, OTHER)]), answer_packet(answer)])
    answer = worker.answer(2)
    assert worker.sent() == read([answer_packet(answer)]), 'reported already'


def test_released_frames_are_reported_after_the_answer(worker):
    """The answer may pass one of them on. A frame retained since is reported before it."""
    worker.codec.retained = [frame(5, OTHER)]
    worker.answer(1)
    worker.sent()
    worker.codec.retained = [frame(6, OTHER)]
    answer = worker.answer(2)
    assert worker.sent() == read(
        [
            frames_retained_packet([frame(5, OTHER), frame(6, OTHER)]),
            answer_packet(answer),
            frames_retained_packet([frame(6, OTHER)]),
        ]
    )
    worker.codec.retained = []
    answer = worker.answer(3)
    assert worker.sent() == read([answer_packet(answer), frames_retained_packet([])])


def test_frames_released_between_items_are_reported_on_the_main_thread(worker):
    """It may have received an item meanwhile; the report is made all the same."""
    worker.codec.retained = [frame(5, OTHER)]
    worker.answer(1)
    worker.sent()
    worker.codec.retained = []
    worker.client.report_released_frames()
    assert worker.sent() == []
    for call in worker.runner.submitted:
        call()
    assert worker.sent() == read([frames_retained_packet([])])
    worker.client.report_released_frames()
    assert len(worker.runner.submitted) == 1, 'nothing is retained any more'


def test_released_frames_are_not_reported_while_an_item_is_processed(worker):
    """Its answer may pass one of them on."""
    worker.codec.retained = [frame(5, OTHER)]
    worker.answer(1)
    worker.handle(PacketType.ITEM, 2, b'item')
    worker.codec.retained = []
    worker.client.report_released_frames()
    assert worker.runner.submitted == []


# -- to a new manager ----------------------------------------------------------------------------


def test_a_new_worker_says_hello_with_its_state(worker):
    assert worker.hello() == read(
        [
            hello_packet('s', 'worker_0', [], FrameNumber(0)),
            frames_retained_packet([]),
            status_packet(STATUS),
        ]
    )


def test_a_new_manager_gets_what_an_earlier_one_may_not_have_read(worker):
    """The received items, answered or not; the retained frames; the last answers again."""
    for number in (1, 2, 3, 4):
        worker.handle(PacketType.ITEM, number, b'item')
    kept = [worker.answer(number, frame(number * 10)) for number in (1, 2, 3)][1:]
    worker.codec.retained = [frame(9, OTHER)]
    assert worker.hello() == read(
        [
            hello_packet('s', 'worker_0', [4, 2, 3], FrameNumber(30)),
            frames_retained_packet([frame(9, OTHER)]),
            status_packet(STATUS),
            *map(answer_packet, kept),
        ]
    )


def test_retained_frames_that_a_new_manager_was_told_are_not_reported_again(worker):
    """They are not as last reported to the earlier one: that may not have read it."""
    worker.codec.retained = [frame(9, OTHER)]
    worker.hello()
    answer = worker.answer(1)
    assert worker.sent() == read([answer_packet(answer)])


def test_a_frame_of_others_that_an_answer_passes_on_is_reported_until_the_answer_is_sent(worker):
    """Else a new manager would have its producer free it before it has read the answer."""
    worker.codec.retained = [frame(9, OTHER)]
    kept = [worker.answer(1, frame(8, OTHER)), worker.answer(2, frame(20))]
    worker.sent()
    assert worker.hello()[1:] == read(
        [
            frames_retained_packet([frame(9, OTHER), frame(8, OTHER)]),
            status_packet(STATUS),
            *map(answer_packet, kept),
            frames_retained_packet([frame(9, OTHER)]),
        ]
    )
    answer = worker.answer(3)
    assert worker.sent() == read([answer_packet(answer)])


@pytest.mark.parametrize(
    ('outputs', 'last'),
    [([frame(7), frame(8)], 8), ([frame(8), frame(7)], 8), ([frame(8, OTHER), b'out'], 0)],
)
def test_the_last_frame_is_the_highest_of_this_process(worker, outputs, last):
    """Frames of others, which it only passes on, are numbered by them."""
    for number, output in enumerate(outputs, start=1):
        worker.answer(number, output)
    assert worker.hello()[0][1] == last


# -- from the manager ----------------------------------------------------------------------------


def test_an_item_is_given_to_the_runner(worker):
    worker.handle(PacketType.ITEM, 4, b'item')
    assert worker.runner.unanswered == {4: b'item'}


def test_freed_frames_are_released(worker):
    worker.handle(PacketType.FRAMES_FREED, body=pack_frame_numbers([FrameNumber(3)]))
    assert worker.codec.released == [[3]]


def test_a_requested_transition_is_passed_on(worker):
    worker.handle(PacketType.CHANGE_STATE, body=b'deactivate')
    assert worker.transitions == ['deactivate']


def test_a_message_of_a_context_is_passed_on(worker):
    worker.handle(PacketType.CONTEXT, 1, b'message')
    assert worker.contexts == [(1, b'message')]


def test_frames_that_a_new_manager_does_not_know_yet_are_kept(worker):
    """Besides those that it uses: those of the answers it is sent again, and retained ones."""
    worker.answer(1, frame(11))
    worker.answer(2, frame(12, OTHER))
    worker.codec.retained = [frame(5), frame(6, OTHER)]
    worker.hello()
    body = pack_frame_numbers([FrameNumber(2)])
    worker.handle(PacketType.FRAMES_IN_USE, 13, body)
    assert worker.codec.kept == [([2, 5, 11], 13)]


# -- without a manager ---------------------------------------------------------------------------


def test_the_snapshot_of_an_orphan_has_its_items_and_frames(worker):
    worker.handle(PacketType.ITEM, 4, b'item')
    worker.codec.retained = [frame(5, OTHER)]
    snapshot = worker.client.orphan_snapshot()
    assert snapshot == OrphanSnapshot({4: b'item'}, [frame(5, OTHER)])
    worker.answer(4)
    assert snapshot.items == {4: b'item'}, 'a copy'


def test_a_frame_that_an_answer_passes_on_outlives_the_manager_and_its_producers_connection(
    worker, tmp_path
):
    """Its producer connects to the next manager before the worker that has passed it on."""
    passed_on = frame(8, OTHER)
    worker.answer(1, passed_on)
    freed: list[int] = []
    frames = FrameRegistry(tmp_path, 1 << 20)
    retained = worker.client.orphan_snapshot().retained_frames
    assert retained is not None
    frames.set_retained('s/worker_0', retained)
    assert frames.producer_connected(OTHER, freed.extend) == {8}
    output = b''
    for packet in worker.client._hello():
        if packet.kind == PacketType.FRAMES_RETAINED:
            frames.set_retained('s/worker_0', read_frames_retained(packet))
        elif packet.kind == PacketType.OUTPUT:
            output = frames.track(packet.body)
        frames.release_unreferenced()
    assert output == passed_on
    assert freed == []
    del output
    frames.release_unreferenced()
    assert freed == [8]
