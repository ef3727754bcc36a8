# SPDX-License-Identifier: Apache-2.0
"""What an earlier manager has left is handed to the stages that still exist."""

from __future__ import annotations

import pytest
from support.fake_nodes import FakeLogger
from support.fake_workers import FakeRecord
from support.offline_pipeline import message

from worker_pipeline.frames.reference import FrameNumber, Reference, encode
from worker_pipeline.frames.registry import FrameRegistry, TrackedReference
from worker_pipeline.manager import pipeline_builder
from worker_pipeline.manager.pipeline_builder import PipelineBuilder, _track
from worker_pipeline.recovery.recover import RecoveredStage

REFERENCE = encode(Reference(FrameNumber(1), 100_000, 0, '77.1', message(1)))


class FakeStage:
    def __init__(self):
        self.recovered = None

    def restore(self, recovered):
        self.recovered = recovered


@pytest.fixture
def builder():
    found = PipelineBuilder.__new__(PipelineBuilder)
    found._logger = FakeLogger()
    return found


@pytest.fixture
def frames(tmp_path):
    return FrameRegistry(tmp_path, 10**6)


@pytest.fixture
def killed(monkeypatch):
    found = []
    monkeypatch.setattr(pipeline_builder, 'kill_worker', found.append)
    return found


def test_a_stage_that_still_exists_is_restored(builder, frames, killed):
    stages = {'a': FakeStage(), 'b': FakeStage()}
    recovered = {'a': RecoveredStage()}
    builder._restore(stages, frames, recovered)
    assert stages['a'].recovered is recovered['a']
    assert stages['b'].recovered is None
    assert killed == []


def test_the_workers_of_a_stage_that_is_gone_are_killed(builder, frames, killed, tmp_path):
    records = {f'worker_{index}': FakeRecord(tmp_path / str(index)) for index in range(2)}
    builder._restore({'a': FakeStage()}, frames, {'old': RecoveredStage(live_workers=records)})
    assert killed == [*records.values()]
    assert builder._logger.warnings == [
        'old: is not in stages any more; killed its 2 workers and dropped its items'
    ]


def test_frames_in_everything_recovered_are_kept(builder, frames, killed, tmp_path):  # noqa: ARG001
    (tmp_path / '77.block').touch()
    stage = FakeStage()
    recovered = RecoveredStage(
        snapshot={'ledger': {'waiting': [(1, REFERENCE)]}},
        log_entries=[('accept', ('input', 1, REFERENCE, 0.0))],
        payloads={1: REFERENCE},
        unacked_outputs=[REFERENCE],
    )
    _track({'a': recovered}, frames)
    builder._restore({'a': stage}, frames, {'a': recovered})
    found = stage.recovered
    payloads = (
        found.snapshot['ledger']['waiting'][0][1],
        found.log_entries[0][1][2],
        found.payloads[1],
        found.unacked_outputs[0],
    )
    assert {type(each) for each in payloads} == {TrackedReference}
    assert frames.in_use > 0


def test_only_blocks_of_live_workers_survive(builder, frames, killed, tmp_path):  # noqa: ARG001
    swept = []
    frames.sweep = swept.append
    record = FakeRecord(tmp_path / 'old', pid=77)
    builder._restore(
        {'a': FakeStage()}, frames, {'a': RecoveredStage(live_workers={'worker_0': record})}
    )
    assert swept == [{77}]


def test_a_first_manager_restores_nothing(builder, frames, killed):
    stage = FakeStage()
    builder._restore({'a': stage}, frames, {})
    assert stage.recovered is None
    assert killed == []
    assert builder._logger.warnings == []
