# SPDX-License-Identifier: Apache-2.0
"""Ledgers for tests, and short forms of the calls that tests make most."""

from __future__ import annotations

import marshal
from typing import Any

from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.ledger import Acceptance, Ledger, Overflow, Settled

Calls = list[tuple[str, tuple[Any, ...]]]
POLICY: dict[str, Any] = {
    'queue_size': 100,
    'overflow': Overflow.DROP_OLDEST,
    'max_attempts': 2,
    'ordered': True,
}


def key(stamp: int, source: str = 'camera') -> ItemKey:
    return ItemKey(source, stamp)


def make_ledger(items: int = 0, **settings: Any) -> Ledger:
    """Return a ledger with room for 100 items; of those queued, 1 is stamped 10, 2 is 20, ..."""
    ledger = Ledger(**{'queue_size': 100, **settings})
    for number in range(1, items + 1):
        accept(ledger, 10 * number)
    return ledger


def recording_ledger(items: int = 0, **settings: Any) -> tuple[Ledger, Calls]:
    """Return such a ledger, and a list that receives its records from then on."""
    calls: Calls = []
    ledger = make_ledger(
        items, record=lambda name, arguments: calls.append((name, arguments)), **settings
    )
    calls.clear()
    return ledger, calls


def accept(ledger: Ledger, stamp: int, source: str = 'camera', now: float = 0.0) -> Acceptance:
    return ledger.accept(key(stamp, source), f'{source}@{stamp}', now)[0]


def assign(ledger: Ledger, worker: str, count: int = 1) -> list[int]:
    """Assign items to a worker. Returns their numbers."""
    return [item.number for item in assigned(ledger, worker, count)]


def assigned(ledger: Ledger, worker: str, count: int = 1) -> list[Item]:
    items = [ledger.assign(worker) for _ in range(count)]
    return [item for item in items if item is not None]


def complete(ledger: Ledger, worker: str, number: int) -> list[str]:
    """Answer an item with one output. Returns the outputs that are delivered as a result."""
    settled = ledger.complete(worker, number, [f'out {number}'])
    assert settled.quarantined == []
    return outputs(settled)


def outputs(settled: Settled) -> list[str]:
    return [each.payload for each in settled.delivered]


def restored(ledger: Ledger, *, payloads: bool) -> Ledger:
    """Return a ledger restored from another's snapshot, as it comes back from a file."""
    successor = Ledger(queue_size=1)
    successor.restore(marshal.loads(marshal.dumps(ledger.snapshot(payloads=payloads))))
    return successor


def busy_ledger(**settings: Any) -> Ledger:
    """Return a ledger with items in every phase: see the asserts."""
    ledger = make_ledger(9, max_attempts=2, **settings)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed', suspect=2)
    assign(ledger, 'b', 4)
    complete(ledger, 'a', 1)
    complete(ledger, 'b', 3)
    complete(ledger, 'b', 4)
    ledger.nack('b', 2)
    assign(ledger, 'c', 3)
    ledger.release('c', 'killed', suspect=6)
    assign(ledger, 'd')
    accept(ledger, 10)
    assert (ledger.waiting, ledger.in_flight, ledger.awaiting_order) == (5, 1, 2)
    assert ledger.held_by('b') == 1, 'an item that another worker has finished'
    assert ledger.held_by('d') == 1
    return ledger


def history(ledger: Ledger) -> list[Settled]:
    """Make every call that can be recorded, with each effect. Returns the settled items."""
    settled = []
    for stamp in range(10, 60, 10):
        ledger.accept(key(stamp), f'camera@{stamp}', 0.5)
    ledger.accept(key(10), 'a duplicate', 0.5)
    assign(ledger, 'a', 2)
    assign(ledger, 'b', 2)
    ledger.nack('b', 3)
    settled.append(ledger.release('a', 'killed', 1))
    assert ledger.assign('c') is not None
    settled.append(ledger.fail('c', 1, 'boom'))
    settled.append(ledger.complete('a', 2, ['late', 'twice']))
    settled.append(ledger.complete('a', 2, ['again']))
    assign(ledger, 'c', 2)
    settled.append(ledger.retract('c', 3))
    settled.append(ledger.refuse('c', 5))
    for stamp in (60, 70, 80, 90, 100, 110):
        ledger.accept(key(stamp), f'camera@{stamp}', 1.0)
    assign(ledger, 'd', 3)
    ledger.mark_undelivered('d', [7])
    settled.append(ledger.drop([7]))
    ledger.flush()
    ledger.flush()
    settled.append(ledger.complete('b', 4, ['out 4']))
    settled.append(ledger.release('d', 'shut down'))
    ledger.set_policy(**{**POLICY, 'queue_size': 1})
    ledger.accept(key(120), 'drops another', 2.0)
    ledger.accept(key(130), 'drops it', 2.0)
    return settled
