# SPDX-License-Identifier: Apache-2.0
"""The record of a quarantined item: its file, its announcement, and its line in the log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from support.fake_nodes import FakePublisher

from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.manager.quarantine_recorder import QuarantineRecorder

STAMP = 5 * 10**9 + 7


class Store:
    """Keeps items in memory; ``is_full``: rejects them."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.is_full = False
        self.closed_after: list[float] = []

    def keep(self, item: Any) -> str | None:
        self.items.append(item)
        return None if self.is_full else '/kept/here'

    def close(self, timeout: float) -> None:
        self.closed_after.append(timeout)


class Bench:
    def __init__(self, folder) -> None:
        self.publisher, self.store = FakePublisher('quarantine'), Store()
        self.frames = SimpleNamespace(materialize=lambda payload: b'whole ' + payload)
        self.recorder = QuarantineRecorder(self.publisher, folder, self.frames, print)
        self.recorder.close(1.0)
        self.recorder._store = self.store
        self.effects: list[Any] = []

    def after_dispatch(self, effect: Any, *arguments: Any) -> None:
        self.effects.append((effect, arguments))

    def put(self, payload: bytes | None = b'item') -> str:
        """Quarantine an item. Returns the message for the log."""
        item = Item(3, ItemKey('camera', STAMP), payload, 0.5, attempts=2)
        return self.recorder.put('s', '/s/input', 'std_msgs/msg/Header', item, 'it failed', self)

    def announced(self) -> list[tuple[str, str, dict[str, str]]]:
        """Carry out the effects. Returns the messages on the topic: name, text and values."""
        for effect, arguments in self.effects:
            effect(*arguments)
        return [
            (each.name, each.message, {value.key: value.value for value in each.values})
            for each in self.publisher.messages
        ]


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def test_an_item_is_stored_whole_with_its_origin_and_its_failure(bench):
    """Its frame is gone when the next one needs the room."""
    bench.put()
    (kept,) = bench.store.items
    assert kept.message == b'whole item'
    assert (kept.stage, kept.source, kept.stamp) == ('s', 'camera', STAMP)
    assert (kept.topic, kept.message_type) == ('/s/input', 'std_msgs/msg/Header')
    assert (kept.attempts, kept.cause) == (2, 'it failed')
    assert kept.at > 0


def test_an_item_is_announced_when_the_event_is_over(bench):
    """Not before it is in the journal: a later manager would quarantine it again."""
    bench.put()
    assert bench.publisher.messages == []
    assert bench.announced() == [
        (
            's',
            'it failed',
            {
                'stage': 's',
                'source': 'camera',
                'stamp': '5.000000007',
                'attempts': '2',
                'type': 'std_msgs/msg/Header',
                'file': '/kept/here',
            },
        )
    ]
    assert bench.publisher.messages[0].level == DiagnosticStatus.ERROR


def test_the_message_for_the_log_names_item_cause_and_file(bench):
    text = 'quarantined the item stamped 5.000000007 after 2 attempts: it failed; '
    assert bench.put() == f'{text}kept in /kept/here'
    bench.store.is_full = True
    assert bench.put() == f'{text}it could not be kept'


def test_an_item_that_could_not_be_stored_is_announced_without_a_file(bench):
    bench.store.is_full = True
    bench.put()
    assert bench.announced()[0][2]['file'] == ''


def test_an_item_whose_message_is_lost_is_announced_but_not_stored(bench):
    """After a crash of the manager, where the journal has no messages."""
    bench.put(None)
    assert bench.store.items == []
    assert bench.announced()[0][2]['file'] == ''


def test_an_empty_message_is_stored_as_well(bench):
    """It may be the cause."""
    bench.put(b'')
    assert len(bench.store.items) == 1


def test_closing_waits_for_the_store(bench):
    bench.recorder.close(2.0)
    assert bench.store.closed_after == [2.0]
