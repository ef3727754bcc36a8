# SPDX-License-Identifier: Apache-2.0
"""The decisions of the dispatcher, for a shell to carry out: plain values with imperative names."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.ledger_events import Acceptance


class SendItem(NamedTuple):
    """Send an item to a worker; before anything else, since the worker waits for it."""

    stage: str
    worker: str
    item: Item


class AskSource(NamedTuple):
    """Read the clocks and call ``tick`` of the source's dispatcher: an item of it may begin."""

    stage: str


class PublishOutput(NamedTuple):
    """Publish a stage's output to subscribers other than its followers, after all sends."""

    stage: str
    payload: Any


class QuarantineItem(NamedTuple):
    """Keep an item that failed too often, with the cause of the last failure."""

    stage: str
    item: Item
    cause: str


class ReportRejection(NamedTuple):
    """Report that an item was not accepted, as a duplicate or by a full queue that blocks."""

    stage: str
    key: ItemKey
    reason: Acceptance


Action: TypeAlias = SendItem | AskSource | PublishOutput | QuarantineItem | ReportRejection
