# SPDX-License-Identifier: Apache-2.0
"""The thread of the liveness record, beside managers that live, die and are replaced.

The managers are real processes; the thread's function is run by the test, or on a thread of it.
"""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest
from support.child_processes import sleeper

from worker_pipeline.exit_codes import EXIT_ORPHANED
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.state_dir import OrphanSnapshot, _snapshot_file
from worker_pipeline.system.proc import start_of
from worker_pipeline.testing import wait_for
from worker_pipeline.worker import liveness_thread
from worker_pipeline.worker.liveness_thread import LivenessThread


class ExitedError(BaseException):
    """The process would have exited with this code."""


class Client:
    """A manager's client that is connected when the test says so."""

    def __init__(self) -> None:
        self.channel = self
        self.connected = True
        self.connects = 0
        self.reads: list[bool] = []
        self.kept: list[bool] = []
        self.snapshot = OrphanSnapshot({1: b'item'}, [])

    def connect(self, _manager: int) -> None:
        self.connects += 1

    def read(self, *, everything: bool) -> None:
        self.reads.append(everything)

    def keep_files(self, *, was_folder_gone: bool) -> None:
        self.kept.append(was_folder_gone)

    def orphan_snapshot(self) -> OrphanSnapshot:
        return self.snapshot


class Worker:
    """A liveness thread of this process, and its files."""

    def __init__(self, folder) -> None:
        self.lock = folder / 'manager'
        self.record = LivenessRecord.prepare(folder / 's.worker_0', 1, 2)
        self.path = self.record.path
        self.spec = SimpleNamespace(
            name='s/worker_0',
            manager_pid=0,
            lock=str(self.lock),
            heartbeat_period=0.001,
            orphan_timeout=0.05,
            save_when_orphaned=False,
        )
        self.client = Client()

    def has_manager(self, pid: int) -> None:
        """Let a process hold the lock from now on."""
        self.lock.write_text(f'{pid} {start_of(pid)}')

    def thread(self, manager: int = 0) -> LivenessThread:
        """Make the worker's thread. ``manager``: the pid of the manager that started it."""
        self.spec.manager_pid = manager
        thread = LivenessThread(self.spec, self.record)  # type: ignore[arg-type]
        thread.client = self.client  # type: ignore[assignment]
        return thread

    @property
    def snapshot(self):
        return _snapshot_file(SimpleNamespace(path=self.path))  # type: ignore[arg-type]


@pytest.fixture
def worker(tmp_path, monkeypatch) -> Worker:
    def exit_(code: int) -> None:
        raise ExitedError(code)

    monkeypatch.setattr(liveness_thread.os, '_exit', exit_)
    return Worker(tmp_path)


def dead_pid() -> int:
    with sleeper() as process:
        return process.pid


@pytest.fixture
def running(worker):  # noqa: ARG001 - it has replaced _exit
    """Runs a thread until its manager has died and no other came."""
    exits: list[int] = []
    threads: list[threading.Thread] = []

    def run(thread: LivenessThread) -> list[int]:
        def target() -> None:
            try:
                thread._run()
            except ExitedError as error:
                exits.append(error.args[0])

        threads.append(threading.Thread(target=target))
        threads[-1].start()
        return exits

    yield run
    for each in threads:
        each.join(30.0)
        assert not each.is_alive(), 'the thread still runs'


def test_a_worker_whose_manager_died_before_it_started_exits_at_once(worker):
    """Another manager would start its own."""
    with sleeper() as process, sleeper() as other:
        worker.has_manager(other.pid)
        with pytest.raises(ExitedError, match=str(EXIT_ORPHANED)):
            worker.thread(process.pid).start()


def test_the_worker_is_registered_and_sends_heartbeats(worker, running, monkeypatch):
    """By the thread alone: the main thread does nothing for it."""
    started = []
    with sleeper() as process:
        worker.has_manager(process.pid)
        thread = worker.thread(process.pid)
        with monkeypatch.context() as patch:
            patch.setattr(
                liveness_thread.threading,
                'Thread',
                lambda **settings: SimpleNamespace(start=lambda: started.append(settings)),
            )
            thread.start()
        seen = worker.record.read()
        assert (seen.pid, seen.process_start) == (os.getpid(), start_of(os.getpid()))
        assert [each['daemon'] for each in started] == [True], 'the process may end without it'
        running(thread)
        first = seen.heartbeat_at
        wait_for(lambda: worker.record.read().heartbeat_at > first, 'a heartbeat')


def _raise(error: BaseException) -> None:
    raise error


def test_a_closed_channel_is_connected_again(worker, running):
    """As often as it is closed; an open one is left alone."""
    with sleeper() as process:
        running(worker.thread(process.pid))
        wait_for(lambda: worker.record.read().heartbeat_at > 0, 'a heartbeat')
        assert worker.client.connects == 0
        worker.client.connected = False
        wait_for(lambda: worker.client.connects > 1, 'a connection')


def test_without_a_client_there_is_nothing_to_connect(worker, running):
    """The worker's node does not exist yet."""
    with sleeper() as process:
        thread = worker.thread(process.pid)
        thread.client = None
        exits = running(thread)
        wait_for(lambda: worker.record.read().heartbeat_at > 0, 'a heartbeat')
    wait_for(lambda: exits, 'the exit')
    assert not worker.path.exists()


def test_an_orphan_reads_what_its_manager_had_sent_then_exits(worker, running, capfd):
    """After ``orphan_timeout``, with its own exit code, and without its liveness record."""
    with sleeper() as process:
        exits = running(worker.thread(process.pid))
    wait_for(lambda: exits, 'the exit')
    assert exits == [EXIT_ORPHANED]
    assert worker.client.reads == [True]
    assert not worker.path.exists()
    assert 's/worker_0: no manager for 0.05 s; exiting' in capfd.readouterr().err


@pytest.mark.parametrize('is_abandoned', [True, False])
def test_an_orphan_without_a_fork_server_ends_what_it_has_started(
    worker, monkeypatch, is_abandoned: bool
):
    """While it has its liveness record, for the next manager, should it be killed meanwhile."""
    ended = []
    monkeypatch.setattr(liveness_thread, 'is_abandoned', lambda: is_abandoned)
    monkeypatch.setattr(
        liveness_thread, 'end_own_tree', lambda name: ended.append((name, worker.path.exists()))
    )
    with pytest.raises(ExitedError):
        worker.thread(dead_pid())._run()
    assert ended == ([('s/worker_0', True)] if is_abandoned else [])


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The time of the thread, which passes only while it sleeps."""
    found = SimpleNamespace(now=1000.0, monotonic=lambda: found.now)

    def sleep(seconds: float) -> None:
        found.now += seconds

    found.sleep = sleep
    monkeypatch.setattr(liveness_thread, 'time', found)
    return found


def test_an_orphan_waits_for_the_whole_timeout(worker, clock):
    """It sends heartbeats meanwhile, as the next manager takes it for dead otherwise."""
    beats = []
    worker.record.heartbeat = lambda: beats.append(clock.now)
    with pytest.raises(ExitedError):
        worker.thread(dead_pid())._run()
    assert clock.now - 1000.0 == pytest.approx(worker.spec.orphan_timeout, abs=0.002)
    assert len(beats) == pytest.approx(50, abs=2)


def test_an_orphan_that_was_stopped_still_waits(worker, clock):
    """Time in which it could do nothing does not count: the next manager could not either."""
    worker.spec.orphan_timeout = 5.0
    beats = []

    def heartbeat() -> None:
        beats.append(clock.now)
        if len(beats) == 100:
            clock.now += 60.0

    worker.record.heartbeat = heartbeat
    with pytest.raises(ExitedError):
        worker.thread(dead_pid())._run()
    counted = liveness_thread.LONGEST_TURN
    assert clock.now - 1000.0 == pytest.approx(60.0 + 5.0 - counted, abs=0.01)


def test_the_next_manager_is_served_like_the_first(worker, running):
    """It connects to it, and is orphaned again when that one dies."""
    worker.spec.orphan_timeout = 30.0
    with sleeper() as second:
        worker.has_manager(second.pid)
        worker.client.connected = False
        exits = running(worker.thread(dead_pid()))
        wait_for(lambda: worker.client.connects, 'a connection')
        assert not exits
        worker.spec.orphan_timeout = 0.05
    wait_for(lambda: exits, 'the exit')
    assert worker.client.reads == [True, True]


def test_a_worker_without_its_liveness_record_does_not_stay(worker, running, capfd):
    """The next manager does not know of it, and may have started another one."""
    worker.path.unlink()
    with sleeper() as second:
        worker.has_manager(second.pid)
        exits = running(worker.thread(dead_pid()))
        wait_for(lambda: exits, 'the exit')
        assert worker.client.connects == 0
    assert 'its liveness record was removed' in capfd.readouterr().err


@pytest.mark.parametrize('saves', [True, False])
@pytest.mark.usefixtures('clock')
def test_an_orphan_saves_its_state_where_the_journal_does_not_have_it(worker, saves):
    """For the next manager."""
    worker.spec.save_when_orphaned = saves
    saved = []
    thread = worker.thread(dead_pid())
    thread._exit = lambda reason: (
        saved.append(worker.snapshot.exists()) or _raise(ExitedError(reason))
    )
    with pytest.raises(ExitedError):
        thread._run()
    assert saved == [saves]


def test_an_orphan_saves_its_state_again_only_when_that_has_changed(worker, monkeypatch):
    """Another item was answered, or another frame retained."""
    saved = []
    monkeypatch.setattr(
        liveness_thread, 'save_orphan_snapshot', lambda _, state: saved.append(state)
    )
    thread = worker.thread()
    states = [OrphanSnapshot({1: b'x'}, []), OrphanSnapshot({}, []), OrphanSnapshot({}, [b'f'])]
    for state in states:
        worker.client.snapshot = state
        thread._save_snapshot()
        thread._save_snapshot()
    assert saved == states


def test_a_snapshot_that_could_not_be_saved_is_tried_again(worker, monkeypatch):
    """Shared memory may have room again."""
    tried = []

    def save(_, state) -> None:
        tried.append(state)
        if len(tried) == 1:
            raise OSError('no space left')

    monkeypatch.setattr(liveness_thread, 'save_orphan_snapshot', save)
    thread = worker.thread()
    for _ in range(3):
        thread._save_snapshot()
    assert len(tried) == 2


def test_an_orphan_without_a_client_has_nothing_to_save(worker):
    thread = worker.thread()
    thread.client = None
    thread._save_snapshot()
    assert not worker.snapshot.exists()
