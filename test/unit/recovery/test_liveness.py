# SPDX-License-Identifier: Apache-2.0
"""The liveness record of a worker, in shared memory."""

from __future__ import annotations

import errno
import os
import signal
import stat
import time

import psutil
import pytest
from support.child_processes import child, sleeper

from worker_pipeline.recovery import liveness
from worker_pipeline.recovery.liveness import SIZE, LivenessRecord, LivenessSnapshot
from worker_pipeline.system.proc import start_of
from worker_pipeline.testing import wait_for

WORKER = """
import sys
from pathlib import Path
from worker_pipeline.recovery.liveness import LivenessRecord

record = LivenessRecord(Path(sys.argv[1]))
record.register()
record.start_item(5)
record.finish_item()
record.start_item(2 ** 63 + 1)
print('working', flush=True)
input()
"""


@pytest.fixture
def record(tmp_path):
    found = LivenessRecord.prepare(tmp_path / 'record', run_id=2**63 - 1, config_hash=2**64 - 1)
    yield found
    found.close()


def test_a_new_record_has_its_run_and_configuration_and_no_process(record):
    """Until a process registers, none is alive."""
    assert record.read() == LivenessSnapshot(2**63 - 1, 2**64 - 1, 0, 0, 0, 0, 0, 0, 0, 0)
    assert not record.alive()


def test_a_record_is_private_and_created_once(record):
    """A second one of the same name is an error."""
    assert stat.S_IMODE(record.path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        LivenessRecord.prepare(record.path, 1, 1)
    assert record.read().run_id == 2**63 - 1


def test_opening_a_record_does_not_create_it(tmp_path):
    """A worker opens the one that its manager created."""
    with pytest.raises(FileNotFoundError):
        LivenessRecord(tmp_path / 'none')
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_record_is_read_by_another_process(record):
    """Also after a SIGKILL: exactly which item was being processed."""
    before = time.monotonic_ns()
    with child(WORKER, record.path) as worker:
        assert worker.line() == 'working'
        seen = record.read()
        assert (seen.pid, seen.process_start) == (worker.pid, start_of(worker.pid))
        assert (seen.active_item, seen.finished_items) == (2**63 + 1, 1)
        assert (
            before
            < seen.heartbeat_at
            <= seen.registered_at
            <= seen.active_since
            < time.monotonic_ns()
        )
        assert record.alive()
        worker.kill()
    assert not record.alive()
    assert record.read() == seen


def test_each_heartbeat_is_later_than_the_last(record):
    """By the monotonic clock, which all processes of the machine share."""
    heartbeats = []
    for _ in range(3):
        record.heartbeat()
        heartbeats.append(record.read().heartbeat_at)
    assert heartbeats == sorted(set(heartbeats))
    assert 0 <= time.monotonic_ns() - heartbeats[-1] < 5_000_000_000


def test_items_are_counted_when_they_are_finished(record):
    """In between no item is active."""
    for finished in range(3):
        record.start_item(finished + 10)
        seen = record.read()
        assert (seen.active_item, seen.finished_items) == (finished + 10, finished)
        record.finish_item()
        seen = record.read()
        assert (seen.active_item, seen.finished_items) == (0, finished + 1)


def test_busy_time_is_the_sum_of_all_processing_times(record, monkeypatch):
    """From each item's start to its finish; idle time in between does not count."""
    now = 100
    monkeypatch.setattr(liveness.time, 'monotonic_ns', lambda: now)
    for start, finish in ((1_000, 1_250), (5_000, 5_001)):
        now = start
        record.start_item(7)
        now = finish
        record.finish_item()
    assert record.read().busy_ns == 251


def test_the_start_time_is_written_before_the_item(record, monkeypatch):
    """Otherwise a new item would look as old as the one before it, for a moment."""
    record.start_item(1)
    record.finish_item()
    seen = []
    monkeypatch.setattr(liveness.time, 'monotonic_ns', lambda: seen.append(record.read()) or 77)
    record.start_item(2)
    assert [each.active_item for each in seen] == [0]
    assert (record.read().active_item, record.read().active_since) == (2, 77)


def test_another_process_with_a_reused_pid_is_not_taken_for_the_worker(record):
    """The kernel knows when each process was started."""
    record.register()
    assert record.alive()
    record._fields[3] -= 1
    assert not record.alive()


def test_a_zombie_is_dead_and_a_stopped_process_is_alive(record):
    """The zombie is not reaped yet."""
    with sleeper() as process:
        record._fields[2], record._fields[3] = process.pid, start_of(process.pid)
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: psutil.Process(process.pid).status() == 'stopped', 'the stop')
        assert record.alive()
        os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: psutil.Process(process.pid).status() == 'zombie', 'its end')
        assert not record.alive()
        assert start_of(process.pid) is None


def test_a_record_is_deleted_only_when_that_is_asked_for(record, tmp_path):
    """Closing alone leaves the file; a file that is already gone is no error."""
    other = LivenessRecord.prepare(tmp_path / 'other', 1, 1)
    other.close()
    assert other.path.exists()
    again = LivenessRecord(other.path)
    other.path.unlink()
    again.close(remove=True)
    record_again = LivenessRecord(record.path)
    record_again.close(remove=True)
    assert not list(tmp_path.iterdir())


def test_a_record_is_allocated_completely_when_it_is_created(tmp_path, monkeypatch):
    """Without memory for it, it is not created: writing to it later would raise SIGBUS."""
    record = LivenessRecord.prepare(tmp_path / 'record', 1, 1)
    assert record.path.stat().st_size == SIZE
    record.close(remove=True)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'posix_fallocate', full)
    with pytest.raises(OSError, match='No space left'):
        LivenessRecord.prepare(tmp_path / 'record', 1, 1)
    assert not list(tmp_path.iterdir())
