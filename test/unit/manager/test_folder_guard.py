# SPDX-License-Identifier: Apache-2.0
"""The folder of a running pipeline is made anew, or the manager says why it cannot be."""

from __future__ import annotations

import fcntl
import shutil
from types import SimpleNamespace

import pytest
from support.fake_nodes import FakeLogger

from worker_pipeline.core.folder_repair import DISPUTE_TIMEOUT, Part
from worker_pipeline.manager.folder_guard import CHECK_PERIOD, FolderGuard
from worker_pipeline.recovery import journal
from worker_pipeline.recovery import state_dir as state_dir_module
from worker_pipeline.recovery.folder_lock import manager_of
from worker_pipeline.recovery.journal import Journal
from worker_pipeline.recovery.records import ItemAssigned
from worker_pipeline.recovery.state_dir import PipelineStateDir
from worker_pipeline.ros.throttled_log import ThrottledLog


class Bench:
    """A folder, its journal, a file as socket, and time."""

    def __init__(self, shared_memory) -> None:
        self.state_dir = PipelineStateDir('/airside', 3)
        self.shared_memory = shared_memory
        self.journal = Journal(self.state_dir.journal, 1, payloads=True)
        self.journal.checkpoint({})
        self.listen()
        self.followed = 0
        self.logger = FakeLogger()
        channels = SimpleNamespace(
            is_in_place=self.state_dir.socket.exists, listen_anew=self.listen
        )
        outbox = SimpleNamespace(journal=self.journal, snapshot=dict)
        output = SimpleNamespace(is_registered=lambda _: True, register=lambda _: None)
        self.guard = FolderGuard(
            self.state_dir,
            channels,  # type: ignore[arg-type]
            outbox,  # type: ignore[arg-type]
            output,  # type: ignore[arg-type]
            lambda: [SimpleNamespace(follow=self.follow)],  # type: ignore[list-item]
            ThrottledLog(self.logger),
        )
        self.now = 100.0
        self.tick()

    def listen(self) -> None:
        self.state_dir.socket.touch()

    def follow(self) -> None:
        self.followed += 1

    def tick(self, seconds: float = CHECK_PERIOD) -> None:
        self.now += seconds
        self.guard.tick(self.now)

    @property
    def is_whole(self) -> bool:
        found = self.state_dir
        folders = all(each.is_dir() for each in (found.workers, found.states, found.frames))
        files = found.socket.exists() and self.journal.is_in_place()
        return folders and files and found.lock.is_held()


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(state_dir_module, 'SHARED_MEMORY', tmp_path)
    made = Bench(tmp_path)
    yield made
    made.journal.close()
    made.state_dir.close(remove=True)


def test_nothing_is_done_while_everything_is_in_place(bench):
    """It is looked at four times a second."""
    bench.tick(0.1)
    bench.tick(0.1)
    assert bench.followed == 1
    bench.tick(0.1)
    assert bench.followed == 2
    assert bench.logger.warnings == []


@pytest.mark.parametrize('name', ['manager', 'socket', 'journal', 'workers', 'states', 'frames'])
@pytest.mark.parametrize('is_replaced', [False, True])
def test_a_part_is_made_anew(bench, name, is_replaced):
    """Also if something of another kind is in its place."""
    path = bench.state_dir.path / name
    was_folder = path.is_dir()
    shutil.rmtree(path) if was_folder else path.unlink()
    if is_replaced and name != 'socket':
        path.touch() if was_folder else path.mkdir()
    bench.tick()
    assert bench.is_whole
    assert len(bench.logger.warnings) == 1
    assert bench.logger.warnings[0].endswith('made anew')


@pytest.mark.parametrize('name', ['manager', 'journal'])
@pytest.mark.parametrize('content', ['', '1 2'])
def test_a_file_that_is_overwritten_is_written_again(bench, name, content):
    """Workers read the manager's pid in one, and the next manager the other."""
    bench.journal.append('a', ItemAssigned('worker_0'))
    bench.journal.commit()
    (bench.state_dir.path / name).write_text(content)
    bench.tick()
    assert bench.state_dir.lock.is_readable()
    assert not journal.read(bench.state_dir.journal).damage
    bench.tick()
    assert len(bench.logger.warnings) == 1


def test_a_journal_that_is_cut_is_written_again_though_it_has_grown_since(bench):
    """Entries are written where the file ended; before them there are zeros then."""
    bench.state_dir.journal.write_bytes(b'')
    bench.journal.append('a', ItemAssigned('worker_0'))
    bench.journal.commit()
    bench.tick()
    assert not journal.read(bench.state_dir.journal).damage
    bench.journal.append('a', ItemAssigned('worker_0'))
    bench.journal.commit()
    bench.tick()
    bench.tick()
    assert len(bench.logger.warnings) == 1


@pytest.mark.parametrize('level', [0, 1, 2])
def test_the_folder_is_made_anew(bench, level):
    shutil.rmtree([bench.state_dir.path, *bench.state_dir.path.parents][level])
    bench.tick()
    assert bench.is_whole
    assert not bench.guard.lost


def test_what_cannot_be_made_is_told_and_tried_again(bench, monkeypatch):
    """The disk is full, or the place is another user's."""
    bench.state_dir.socket.unlink()
    listen = bench.listen

    def fail() -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setitem(bench.guard._make, Part.SOCKET, fail)
    bench.tick()
    bench.tick()
    (error,) = bench.logger.errors
    assert 'gone while running: socket; it cannot be made anew: [Errno 28] No space left' in error
    monkeypatch.setitem(bench.guard._make, Part.SOCKET, listen)
    bench.tick()
    assert bench.is_whole


def test_a_lock_that_another_process_has_for_long_ends_the_manager(bench):
    """For a moment, it is a manager that is about to be refused."""
    bench.state_dir.lock_file.unlink()
    with bench.state_dir.lock_file.open('w') as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        bench.tick()
        bench.tick(DISPUTE_TIMEOUT)
        assert not bench.guard.lost
        bench.tick(0.3)
        assert 'found a manager already running, pid not known' in bench.guard.lost
    bench.tick()
    assert bench.is_whole


def test_a_new_worker_does_not_wait_for_the_next_look(bench):
    """Its start would fail, and count as one that has failed."""
    bench.state_dir.repair = bench.guard.check_now
    shutil.rmtree(bench.state_dir.path)
    record = bench.state_dir.new_liveness_record('stage', 'worker_0', 1)
    assert record.path.exists()
    assert manager_of(bench.state_dir.lock_file) is not None
    assert not bench.journal.is_in_place(), 'not in the middle of an event'
    record.close()
    bench.tick()
    assert bench.is_whole
