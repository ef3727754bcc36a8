# SPDX-License-Identifier: Apache-2.0
"""The records of the journal: their content, and the effect of applying them."""

from __future__ import annotations

import inspect
import marshal
from typing import Any

import pytest
from support.journal import RUN

from worker_pipeline.core.dispatcher import Dispatcher
from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Ledger, Overflow
from worker_pipeline.core.stage_policy import StagePolicy
from worker_pipeline.recovery import records
from worker_pipeline.recovery.journal import Journal, read
from worker_pipeline.recovery.records import (
    FLOW_RECORDS,
    KINDS,
    OUTPUT_RECORDS,
    FramesRetained,
    OutputPublished,
    OutputsAcked,
    RouteAdded,
    SourceChanged,
    SubscribersChanged,
    replay,
)
from worker_pipeline.recovery.recover import RecoveredStage


class NoFrameMemory:
    limit = 0
    needed = 0

    def release_unreferenced(self) -> bool:
        return False


LEDGER_KINDS = sorted(set(FLOW_RECORDS) - {'source', 'route', 'run'})


def new_ledger(changes: list[records.Change] | None = None, *, payloads: bool = True) -> Ledger:
    recorder = None
    if changes is not None:
        recorder = records.recorder('stage', changes, payloads=payloads)
    return Ledger(queue_size=3, max_attempts=2, record=recorder)


def keep_books(ledger: Ledger) -> None:
    """Make a ledger record every kind of change that it can."""
    for stamp in range(1, 14):
        ledger.accept(ItemKey('input', stamp), b'item', 0.5)
        if stamp > 2:
            ledger.assign('a' if stamp < 11 else 'b')
    ledger.complete('a', 1, (b'output',))
    ledger.complete('a', 2)
    ledger.retract('a', 3)
    ledger.refuse('a', 4)
    ledger.nack('a', 5)
    ledger.fail('a', 6, 'a cause')
    ledger.mark_undelivered('a', [7])
    ledger.drop([5])
    ledger.release('a', 'a signal', 8)
    ledger.drop_oldest()
    for stamp in (97, 98, 99):
        ledger.accept(ItemKey('input', stamp), b'item', 0.5)
    ledger.drop_oldest(skip=1)
    ledger.flush()
    ledger.set_policy(queue_size=4, overflow=Overflow.BLOCK, max_attempts=3, ordered=False)


def test_every_kind_of_record_of_a_ledger_is_recorded_and_replayed():
    """The replayed ledger equals the original one, and replaying records nothing."""
    changes: list[records.Change] = []
    ledger = new_ledger(changes)
    keep_books(ledger)
    assert sorted({kind for _, kind, _ in changes}) == LEDGER_KINDS
    again: list[records.Change] = []
    copy = new_ledger(again)
    replay(copy, [(kind, fields) for _, kind, fields in changes])
    assert copy.snapshot(payloads=True) == ledger.snapshot(payloads=True)
    assert again == []
    copy.accept(ItemKey('input', 1000), b'', 0.5)
    assert len(again) == 1


def test_a_record_without_payloads_has_none_in_their_place():
    """Of items and of outputs. All other fields are the same."""
    with_payloads: list[records.Change] = []
    without: list[records.Change] = []
    keep_books(new_ledger(with_payloads))
    keep_books(new_ledger(without, payloads=False))
    bare = [
        (stage, kind, tuple(_bare(field) for field in fields))
        for stage, kind, fields in with_payloads
    ]
    assert without == bare
    assert without != with_payloads
    assert b'item' not in marshal.dumps(without)


def _bare(field: Any) -> Any:
    if isinstance(field, tuple) and any(isinstance(each, bytes) for each in field):
        return (None,) * len(field)
    return None if isinstance(field, bytes) else field


@pytest.mark.parametrize('kind', sorted({*LEDGER_KINDS} - {'set_policy'}))
def test_a_ledger_record_has_the_fields_of_the_ledgers_method(kind: str):
    """In number: the ledger records its own arguments, an item's key in its three parts."""
    parameters = inspect.signature(getattr(Ledger, kind)).parameters.values()
    positional = [each for each in parameters if each.kind is not each.KEYWORD_ONLY]
    count = len(positional) - 1 + 2 * (kind == 'accept')
    assert len(FLOW_RECORDS[kind]._fields) == count


def test_a_source_routes_and_the_run_are_restored():
    """They belong to the flow of items, as the ledger does."""
    dispatcher = Dispatcher({'stage': StagePolicy(queue_size=3)}, NoFrameMemory(), int)
    stage = dispatcher.stages['stage']
    source = {'epoch': 5, 'exhausted': True, 'last': 7, 'offset': 1, 'simulated': True}
    changes = [('source', (source,)), ('route', ('camera', 'camera<input')), ('run', (3,))]
    replay(stage, changes)
    state = stage.snapshot(payloads=True)
    assert state['source'] == source
    assert state['routes'] == [('camera', 'camera<input')]
    assert state['run'] == dispatcher.runs.number == 3


def test_output_records_change_what_is_recovered():
    """The latest retained frames and subscribers; unacknowledged outputs in order."""
    stage = RecoveredStage(unacked_outputs=[b'0'])
    for record in (
        FramesRetained('a', [b'frame']),
        FramesRetained('b', [b'frame']),
        FramesRetained('a', []),
        SubscribersChanged(1),
        SubscribersChanged(3),
        OutputPublished(b'1'),
        OutputPublished(b'2'),
        OutputsAcked(2),
    ):
        record.apply(stage)
    assert stage == RecoveredStage(
        retained_frames={'a': [], 'b': [b'frame']}, subscribers=3, unacked_outputs=[b'2']
    )


def test_each_kind_names_one_class():
    """No two kinds share one, and no kind is of both groups."""
    assert len(KINDS) == len(FLOW_RECORDS) + len(OUTPUT_RECORDS)


@pytest.mark.parametrize(
    ('record', 'change'),
    [
        (RouteAdded('a', 'a<input'), ('route', ('a', 'a<input'))),
        (SourceChanged({'epoch': 1}), ('source', ({'epoch': 1},))),
        (FramesRetained('a', [b'x']), ('retained_frames', ('a', [b'x']))),
        (SubscribersChanged(2), ('subscribers', (2,))),
        (OutputPublished(b'x'), ('unacked', (b'x',))),
        (OutputsAcked(2), ('acked', (2,))),
    ],
)
def test_a_record_is_written_as_its_kind_and_fields(tmp_path, record, change):
    """Read back from the file, it makes the same record."""
    journal = Journal(tmp_path / 'journal', RUN, payloads=True)
    journal.checkpoint({})
    journal.append('stage', record)
    journal.commit()
    journal.close()
    ((stage, kind, fields),) = read(tmp_path / 'journal').entries[0]
    assert (stage, kind, fields) == ('stage', *change)
    assert {**FLOW_RECORDS, **OUTPUT_RECORDS}[kind](*fields) == record


def test_a_ledger_that_blocks_is_replayed_too():
    """A refused item is no change, and is not recorded."""
    changes: list[records.Change] = []
    recorder = records.recorder('stage', changes, payloads=True)
    ledger = Ledger(queue_size=1, overflow=Overflow.BLOCK, record=recorder)
    for stamp in (1, 2):
        ledger.accept(ItemKey('input', stamp), b'', 0.5)
    assert [kind for _, kind, _ in changes] == ['accept']
