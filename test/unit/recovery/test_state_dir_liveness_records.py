# SPDX-License-Identifier: Apache-2.0
"""Liveness records and orphan snapshots are found in the state folder of an earlier manager."""

from __future__ import annotations

import pytest
from support.state_dirs import running

from worker_pipeline.recovery import state_dir as state_dir_module
from worker_pipeline.recovery.state_dir import (
    OrphanSnapshot,
    PipelineStateDir,
    remove_liveness_record,
    save_orphan_snapshot,
)

pytestmark = pytest.mark.usefixtures('base')


def test_liveness_records_are_found_by_slot_the_newest_first():
    """Created by this manager or by an earlier one."""
    state_dir = PipelineStateDir('/airside', 3)
    made = [
        state_dir.new_liveness_record(stage, slot, config_hash)
        for config_hash, (stage, slot) in enumerate(
            [('a', 'w_0'), ('b', 'w_0'), ('a', 'w_1'), ('a', 'w_0')]
        )
    ]
    run = state_dir.run_id
    state_dir.close(remove=False)
    with running() as state_dir:
        found = state_dir.liveness_records()
        assert {
            slot: [record.read().config_hash for record in records]
            for slot, records in found.items()
        } == {
            ('a', 'w_0'): [3, 0],
            ('a', 'w_1'): [2],
            ('b', 'w_0'): [1],
        }
        assert {record.read().run_id for records in found.values() for record in records} == {run}
        assert state_dir.run_id != run
        assert len({record.path for record in made}) == 4


def test_ages_are_compared_as_numbers():
    """The clock may have gained a digit in between."""
    with running() as state_dir:
        for age in (9, 10, 100):
            record = state_dir.new_liveness_record('a', 'w', age)
            record.path.rename(state_dir.workers / f'a.w.{age}')
        assert [record.read().config_hash for record in state_dir.liveness_records()['a', 'w']] == [
            100,
            10,
            9,
        ]


def test_incomplete_and_vanishing_liveness_records_are_skipped(monkeypatch):
    """A manager was killed while it created one; a worker exited in the meantime."""
    with running() as state_dir:
        state_dir.new_liveness_record('a', 'w', 1)
        (state_dir.workers / 'a.w.5').touch()
        (state_dir.workers / 'a.w.6').write_bytes(b'too short')
        gone = state_dir.workers / 'a.gone.7'
        gone.touch()
        make = state_dir_module.LivenessRecord

        def late(path):
            if path == gone:
                gone.unlink()
            return make(path)

        monkeypatch.setattr(state_dir_module, 'LivenessRecord', late)
        ((slot, records),) = state_dir.liveness_records().items()
        assert (slot, [record.read().config_hash for record in records]) == (('a', 'w'), [1])
        assert [path.name.split('.')[1] for path in state_dir.workers.iterdir()] == ['w']


def test_an_orphan_snapshot_is_found_by_its_liveness_record_and_removed_with_it():
    """A partial file is ignored."""
    with running() as state_dir:
        record = state_dir.new_liveness_record('a', 'w', 1)
        assert state_dir.orphan_snapshot(record) == ({}, None)
        file = record.path.with_name(record.path.name + '.snapshot')
        file.with_name(file.name + '.new').write_bytes(b'half')
        assert state_dir.orphan_snapshot(record) == ({}, None)
        save_orphan_snapshot(record, OrphanSnapshot({5: b'five', 6: b'six'}, [b'a frame']))
        assert state_dir.orphan_snapshot(record) == ({5: b'five', 6: b'six'}, [b'a frame'])
        assert list(state_dir.liveness_records()) == [('a', 'w')]
        remove_liveness_record(record)
        assert state_dir.liveness_records() == {}
        assert not file.exists()
