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
        warnings: list[str] = []
        ((slot, records),) = state_dir.liveness_records(warnings.append).items()
        assert (slot, [record.read().config_hash for record in records]) == (('a', 'w'), [1])
        kept = {path.name for path in state_dir.workers.iterdir()} - {records[0].path.name}
        assert kept == {'a.w.5.damaged', 'a.w.6.damaged'}
        assert len(warnings) == 2
        assert all('no liveness record' in each for each in warnings)


@pytest.mark.parametrize(
    'name',
    ['note', 'a', '.', 'a.b', 'a.w.x', 'a.w.²', 'a..3', '.hidden', 'core.123', 'a.w.0'],
    ids=repr,
)
def test_a_foreign_file_or_folder_among_the_records_is_ignored_and_named(name: str):
    """It stays where it is: somebody may need it."""
    with running() as state_dir:
        record = state_dir.new_liveness_record('a', 'w', 1)
        file = state_dir.workers / f'{name}~' if name == '.' else state_dir.workers / name
        file.write_bytes(b'not of this pipeline')
        (state_dir.workers / 'folder').mkdir()
        warnings: list[str] = []
        assert list(state_dir.liveness_records(warnings.append)) == [('a', 'w')]
        assert file.read_bytes() == b'not of this pipeline'
        assert warnings == [
            f'{each}: is no file of this pipeline; ignored'
            for each in sorted([file, state_dir.workers / 'folder'])
        ]
        record.close()


def test_a_folder_or_a_dangling_link_in_place_of_a_record_is_set_aside():
    """It cannot be mapped; the next start does not find it any more."""
    with running() as state_dir:
        (state_dir.workers / 'a.w.5').mkdir()
        (state_dir.workers / 'a.w.7').symlink_to('a.w.7')
        warnings: list[str] = []
        assert state_dir.liveness_records(warnings.append) == {}
        assert len(warnings) == 2
        assert state_dir.liveness_records(warnings.append) == {}
        assert len(warnings) == 2


@pytest.mark.parametrize('damage', ['flip', 'cut', 'zeroed', 'grown', 'empty'])
def test_a_damaged_orphan_snapshot_is_set_aside_and_named(damage: str):
    """Half a list of items would be worse than none."""
    with running() as state_dir:
        record = state_dir.new_liveness_record('a', 'w', 1)
        save_orphan_snapshot(record, OrphanSnapshot({5: b'five'}, [b'a frame']))
        file = record.path.with_name(record.path.name + '.snapshot')
        data = file.read_bytes()
        file.write_bytes(
            {
                'flip': data[:-9] + bytes([data[-9] ^ 4]) + data[-8:],
                'cut': data[:-1],
                'zeroed': bytes(len(data)),
                'grown': data + b'\0',
                'empty': b'',
            }[damage]
        )
        warnings: list[str] = []
        assert state_dir.orphan_snapshot(record, warnings.append) == ({}, None)
        assert 'damaged' in warnings[0]
        assert f'kept as {file}.damaged' in warnings[0]
        assert state_dir.orphan_snapshot(record, warnings.append) == ({}, None)
        assert len(warnings) == 1


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
