# SPDX-License-Identifier: Apache-2.0
"""The records of the journal: every kind of change to a stage that a restarted manager repeats.

Each kind is a class here, with its fields. In the journal a record is a plain tuple
``(stage, kind, fields)``, since ``marshal`` refuses subclasses of tuple. The dispatcher records its
changes through the callback of :func:`recorder`: it names the kind and gives the fields, and no
object is made for each item.

A flow record is replayed by the stage itself; an output record is applied to what is recovered of
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypedDict

from worker_pipeline.core.ledger import Record

# The stage, the kind of record, and its fields.
Change = tuple[str, str, tuple[Any, ...]]


class StageSnapshot(TypedDict):
    """The state of a stage at a checkpoint of the journal, as plain values."""

    ledger: Mapping[str, Any]  # as ``Ledger.snapshot`` returns it
    source: dict[str, Any]  # as ``TickSource.snapshot`` returns it
    routes: list[tuple[str, str]]  # (feeding stage, route), see ``RouteAdded``
    run: int
    retained_frames: dict[str, list[bytes]]  # references of frames by worker
    subscribers: int  # to the stage's output, without its followers in the same pipeline
    unacked_outputs: list[bytes]  # messages that these subscribers may not have received
    outputs_lost: int  # messages that are lost to them


class StageFlow(Protocol):
    """The flow of a stage's items, which flow records change."""

    def replay(self, kind: str, fields: tuple[Any, ...]) -> object:
        """Repeat a change without recording it."""


class StageOutput(Protocol):
    """The target of output records."""

    retained_frames: dict[str, list[bytes]]
    subscribers: int
    unacked_outputs: list[bytes]


# -- flow records: the ledger ----------------------------------------------------------------------


class ItemAccepted(NamedTuple):
    """An item was added to the queue."""

    source: str  # the input it came by
    stamp: int  # ns
    payload: bytes | None  # None in a journal without payloads
    accepted_at: float  # s, monotonic
    run: int = 0


class ItemAssigned(NamedTuple):
    """The next item was assigned to a worker."""

    worker: str


class ItemCompleted(NamedTuple):
    """A worker answered an item."""

    worker: str
    number: int
    outputs: tuple[bytes | None, ...]  # None in a journal without payloads


class ItemRetracted(NamedTuple):
    """A source that was asked for an item had come to its end."""

    worker: str
    number: int


class ItemRefused(NamedTuple):
    """An item was not a valid message."""

    worker: str
    number: int


class ItemReturned(NamedTuple):
    """A worker returned an item without starting it."""

    worker: str
    number: int


class ItemFailed(NamedTuple):
    """A worker failed at an item and stayed alive."""

    worker: str
    number: int
    cause: str


class WorkerReleased(NamedTuple):
    """A worker exited, and its items were taken back."""

    worker: str
    cause: str
    suspect: int | None  # number of the item that it was processing


class ItemsUndelivered(NamedTuple):
    """Items did not reach the worker that they were assigned to."""

    worker: str
    numbers: tuple[int, ...]


class PolicyChanged(NamedTuple):
    """The stage's settings changed while it was running."""

    queue_size: int
    overflow: str
    max_attempts: int
    ordered: bool


class QueueFlushed(NamedTuple):
    """All items were dropped that had never been assigned."""


class OldestDropped(NamedTuple):
    """A queued item was dropped to make room."""

    skip: int = 0  # how many older ones stayed


class ItemsDropped(NamedTuple):
    """Items that were to be assigned again were dropped, as their messages are gone."""

    numbers: tuple[int, ...]


# -- flow records: where items come from -----------------------------------------------------------


class SourceChanged(NamedTuple):
    """The stream of a source started or ended."""

    state: dict[str, Any]  # as ``TickSource.snapshot`` returns it


class RunStarted(NamedTuple):
    """A new run of the pipeline started: stamps of earlier runs may come again."""

    number: int


class RouteAdded(NamedTuple):
    """A stage of the same pipeline forwarded an item by a route for the first time."""

    stage: str
    route: str  # the input that the forwarded items count as


# -- output records --------------------------------------------------------------------------------


class FramesRetained(NamedTuple):
    """A worker reported which frames of earlier items it still references."""

    worker: str
    references: list[bytes]

    def apply(self, stage: StageOutput) -> None:
        stage.retained_frames[self.worker] = self.references


class SubscribersChanged(NamedTuple):
    """The number of external subscribers to the stage's output changed."""

    subscribers: int

    def apply(self, stage: StageOutput) -> None:
        stage.subscribers = self.subscribers


class OutputPublished(NamedTuple):
    """An output was published, or waits to be, that the subscribers have not acknowledged."""

    message: bytes

    def apply(self, stage: StageOutput) -> None:
        stage.unacked_outputs.append(self.message)


class OutputsAcked(NamedTuple):
    """The oldest unacknowledged outputs were acknowledged, or are no longer kept."""

    acked: int

    def apply(self, stage: StageOutput) -> None:
        del stage.unacked_outputs[: self.acked]


FlowRecord = (
    ItemAccepted
    | ItemAssigned
    | ItemCompleted
    | ItemRetracted
    | ItemRefused
    | ItemReturned
    | ItemFailed
    | WorkerReleased
    | ItemsUndelivered
    | PolicyChanged
    | QueueFlushed
    | OldestDropped
    | ItemsDropped
    | SourceChanged
    | RouteAdded
    | RunStarted
)
OutputRecord = FramesRetained | SubscribersChanged | OutputPublished | OutputsAcked

# The kinds. Those of the ledger have the names of its methods.
FLOW_RECORDS: Mapping[str, Callable[..., FlowRecord]] = {
    'accept': ItemAccepted,
    'assign': ItemAssigned,
    'complete': ItemCompleted,
    'retract': ItemRetracted,
    'refuse': ItemRefused,
    'nack': ItemReturned,
    'fail': ItemFailed,
    'release': WorkerReleased,
    'mark_undelivered': ItemsUndelivered,
    'set_policy': PolicyChanged,
    'flush': QueueFlushed,
    'drop_oldest': OldestDropped,
    'drop': ItemsDropped,
    'source': SourceChanged,
    'route': RouteAdded,
    'run': RunStarted,
}
OUTPUT_RECORDS: Mapping[str, Callable[..., OutputRecord]] = {
    'retained_frames': FramesRetained,
    'subscribers': SubscribersChanged,
    'unacked': OutputPublished,
    'acked': OutputsAcked,
}
# The kind of each class.
KINDS = {make: kind for kind, make in {**FLOW_RECORDS, **OUTPUT_RECORDS}.items()}


def replay(stage: StageFlow, log_entries: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
    """Repeat changes to a stage, given as (kind, fields), in order and without recording them."""
    for kind, fields in log_entries:
        stage.replay(kind, FLOW_RECORDS[kind](*fields))


def recorder(stage: str, changes: list[Change], *, payloads: bool) -> Record:
    """Return the callback by which a stage's dispatcher records its changes.

    Args:
        stage: The stage's name.
        changes: The list that each change is appended to.
        payloads: Whether messages are recorded too; without, they are replaced by None.
    """
    if payloads:

        def record(kind: str, fields: tuple[Any, ...]) -> None:
            changes.append((stage, kind, fields))
    else:

        def record(kind: str, fields: tuple[Any, ...]) -> None:
            if kind == 'accept':
                source, stamp, _, *rest = fields
                fields = source, stamp, None, *rest
            elif kind == 'complete':
                worker, number, outputs = fields
                fields = worker, number, (None,) * len(outputs)
            changes.append((stage, kind, fields))

    return record
