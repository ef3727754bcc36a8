# SPDX-License-Identifier: Apache-2.0
"""The publisher of a stage's output, with fakes of its topic and its node."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.fake_nodes import FakeClock, FakeNode, FakePublisher
from support.journal import RUN
from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.manager.output_publisher import OutputPublisher
from worker_pipeline.recovery.journal import Journal, read

FOLLOWERS = 2


class Bench:
    """A publisher with two followers in the pipeline, and a depth of three messages."""

    def __init__(self, folder: Path, clock: FakeClock, payloads: bool) -> None:
        self.node = FakeNode('s', clock)
        self.topic = FakePublisher('s/output')
        self.node.topics_published['s/output'] = self.topic
        self.topic.subscribers = FOLLOWERS
        self.path = folder / 'journal'
        self.journal = Journal(self.path, RUN, payloads=payloads)
        self.journal.checkpoint({})
        self.errors: list[str] = []
        self.outbox = Outbox(self.journal, self.errors.append)
        self.own = Counter(s=FOLLOWERS)
        self.output = OutputPublisher(
            self.node,  # type: ignore[arg-type]
            's',
            self.topic,
            self.own,
            self.outbox,
            FrameRegistry(folder, 0),
            3,
        )

    def publish(self, *messages: bytes) -> None:
        """Publish messages in one event."""
        with self.outbox:
            for each in messages:
                self.output.publish(each)

    def listen(self, count: int = 1) -> None:
        """Have so many others subscribe."""
        self.topic.subscribers = FOLLOWERS + count
        self.output.tick(0.0)

    def recorded(self, kind: str) -> list[Any]:
        """Return the first field of each record of a kind in the journal."""
        recovered = read(self.path)
        assert recovered is not None
        entries = [each for entry in recovered.entries for each in entry]
        return [fields[0] for _, found, fields in entries if found == kind]


@contextlib.contextmanager
def output_bench(folder: Path, clock: FakeClock, *, payloads: bool) -> Iterator[Bench]:
    """Yield a bench, with a journal that contains the messages or not."""
    found = Bench(folder, clock, payloads)
    yield found
    found.journal.close()
    assert found.errors == []
