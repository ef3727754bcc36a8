# SPDX-License-Identifier: Apache-2.0
"""The liveness record of a worker, in shared memory."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
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


# -- files that somebody removes or damages --------------------------------------------------------


@pytest.fixture
def manager_record(record):
    """The same record, as the manager has it mapped."""
    found = LivenessRecord(record.path)
    yield found
    found.close()


def lose(path, way):
    """Remove a record's file, or put another one in its place."""
    path.unlink()
    if way == 'zeroed':
        path.write_bytes(bytes(SIZE))
    elif way == 'short':
        path.write_bytes(b'x')


@pytest.mark.parametrize('way', ['removed', 'zeroed', 'short'])
def test_a_worker_makes_its_record_anew_and_the_manager_follows(record, manager_record, way):
    """With everything that was in it."""
    record.register()
    record.start_item(7)
    assert not record.keep_in_place()
    lose(record.path, way)
    assert record.keep_in_place()
    assert not record.keep_in_place()
    record.finish_item()
    record.start_item(8)
    assert manager_record.read().active_item == 7, 'the manager still reads the former file'
    manager_record.follow()
    assert manager_record.read() == record.read()
    assert manager_record.read().active_item == 8
    assert manager_record.alive()
    assert [each.name for each in record.path.parent.iterdir()] == ['record']
    later = LivenessRecord(record.path)
    assert later.read().pid == os.getpid()
    later.close()


def test_without_a_folder_a_record_stays_as_it_is(tmp_path, record, manager_record):
    """Until the manager has made the folder again."""
    record.register()
    elsewhere = tmp_path.with_name(f'{tmp_path.name}.elsewhere')
    tmp_path.rename(elsewhere)
    with pytest.raises(FileNotFoundError):
        record.keep_in_place()
    manager_record.follow()
    record.start_item(3)
    assert manager_record.read().active_item == 3
    elsewhere.rename(tmp_path)


def test_a_record_that_is_zeroed_in_place_gets_its_identity_with_the_next_heartbeat(record):
    """Its worker would be killed as silent, and not be found by the next manager."""
    record.register()
    before = record.read()
    with record.path.open('r+b') as file:
        file.write(bytes(SIZE))
    assert not record.alive()
    record.heartbeat()
    after = record.read()
    assert record.alive()
    for field in ('run_id', 'config_hash', 'pid', 'process_start', 'registered_at'):
        assert getattr(after, field) == getattr(before, field)


@pytest.mark.slow
def test_no_change_is_lost_while_the_file_is_made_anew(record):
    """Another thread does so, while items are being processed."""
    record.register()
    stop = threading.Event()

    def keep() -> None:
        while not stop.is_set():
            record.path.unlink(missing_ok=True)
            record.keep_in_place()

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        for number in range(1, 5001):
            record.start_item(number)
            assert record.read().active_item == number
            record.finish_item()
            assert record.read().active_item == 0
    finally:
        stop.set()
        thread.join()
    assert record.read().finished_items == 5000
