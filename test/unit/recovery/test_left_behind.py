# SPDX-License-Identifier: Apache-2.0
"""What is left when manager, fork server and workers were killed together: real processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from support.child_processes import child
from support.process_trees import MANAGER, alive, tree_below

from worker_pipeline.recovery.left_behind import LeftBehind
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.recover import recover
from worker_pipeline.recovery.state_dir import PipelineStateDir
from worker_pipeline.system.proc import start_of
from worker_pipeline.system.process_table import WORKER_MARK, worker_mark
from worker_pipeline.testing import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('base')]  # these start processes
PID, PROCESS_START = 2, 3  # fields of a liveness record


class Killed(NamedTuple):
    """A worker whose manager and fork server were killed, and what it has started."""

    worker: psutil.Process
    start: int
    tree: list[psutil.Process]

    @property
    def mark(self) -> str:
        return worker_mark(self.worker.pid, self.start)

    def enter(self, record: LivenessRecord) -> None:
        """Register it, as it does itself."""
        record._fields[PID], record._fields[PROCESS_START] = self.worker.pid, self.start

    def die(self) -> None:
        self.worker.kill()
        wait_for(lambda: start_of(self.worker.pid) != self.start, 'the death of the worker')


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Callable[[str], Killed]]:
    """Make a worker with a tree of some kind, and kill manager and fork server."""
    made: list[psutil.Process] = []

    def make(kind: str) -> Killed:
        folder = tmp_path / f'{kind}_{len(made)}'
        folder.mkdir()
        with child(MANAGER, folder, kind) as manager:
            worker, server = (psutil.Process(int(pid)) for pid in manager.line().split())
            tree = tree_below(folder, worker.pid)
            made.extend([worker, *tree])
            os.kill(manager.pid, signal.SIGKILL)
            server.kill()
        return Killed(worker, start_of(worker.pid) or 0, tree)

    yield make
    for process in made:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def state_dir() -> Iterator[PipelineStateDir]:
    found = PipelineStateDir('/airside', 0)
    yield found
    found.close(remove=True)


@pytest.fixture
def program() -> Iterator[Callable[..., psutil.Process]]:
    """Start a program with a worker's mark."""
    started: list[psutil.Process] = []

    def start(mark: str, *command: str) -> psutil.Process:
        # Not a child of this process, whose own are spared.
        shell = ['sh', '-c', '"$@" >/dev/null 2>&1 & echo $!', 'sh']
        shell += command or ('sleep', '1000')
        environment = {**os.environ, WORKER_MARK: mark}
        pid = subprocess.run(shell, env=environment, stdout=subprocess.PIPE, check=True).stdout
        started.append(psutil.Process(int(pid)))
        return started[-1]

    yield start
    for each in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


@pytest.mark.parametrize('has_journal', [True, False])
@pytest.mark.parametrize('kind', ['program', 'daemon', 'fork', 'pool', 'ignores_sigterm'])
def test_the_next_manager_ends_what_dead_workers_have_left(
    killed, state_dir, warnings, kind, has_journal
):
    """Before it starts others, which need the ports; whether or not there are items to recover."""
    worker = killed(kind)
    worker.enter(state_dir.new_liveness_record('port', 'worker_0', 7))
    worker.die()
    assert alive(worker.tree) == worker.tree
    recover(state_dir, warnings.append, journal_kept=has_journal)
    assert alive(worker.tree) == []
    outcome = 'killed' if kind == 'ignores_sigterm' else 'terminated'
    count = len(worker.tree)
    processes = '1 process' if count == 1 else f'{count} processes'
    (text,) = warnings
    assert re.fullmatch(
        rf'port/worker_0 of an earlier manager left {processes} behind: .*; {outcome}', text
    )


def test_what_workers_have_left_that_recovery_kills_is_ended_too(killed, state_dir, warnings):
    """There is no journal that accounts for them."""
    worker = killed('program')
    worker.enter(state_dir.new_liveness_record('port', 'worker_0', 7))
    recover(state_dir, warnings.append, journal_kept=True)
    assert alive([worker.worker, *worker.tree]) == []
    assert [text.split()[0] for text in warnings] == ['killed', 'port/worker_0']


def test_living_workers_and_those_of_other_pipelines_keep_their_trees(killed, warnings):
    """Dead workers without a record too: they are another pipeline's."""
    dead, living, other = killed('program'), killed('program'), killed('program')
    dead.die()
    other.die()
    LeftBehind({dead.mark: 'a/worker_0', living.mark: 'a/worker_1'}, warnings.append).end()
    assert alive(dead.tree) == []
    kept = [living.worker, *living.tree, *other.tree]
    assert alive(kept) == kept
    assert [text.split()[0] for text in warnings] == ['a/worker_0']


def test_a_running_pipeline_is_spared_though_a_dead_workers_stage_has_started_it(
    killed, program, warnings
):
    """Its manager bears that worker's mark."""
    dead = killed('program')
    dead.die()
    manager, stray = program(dead.mark), program(dead.mark)
    other = PipelineStateDir('/other', 0)
    other.lock_file.write_text(f'{manager.pid} {start_of(manager.pid)}')
    LeftBehind({dead.mark: 'a/worker_0'}, warnings.append).end()
    assert alive([manager, stray, *dead.tree]) == [manager]
    other.close(remove=True)


WORKER = """
import os, sys, time
from pathlib import Path
from worker_pipeline.system.process_table import mark_worker, read_process
kept = mark_worker(os.getpid(), read_process(os.getpid()).start)
Path(sys.argv[1]).touch()
time.sleep(1000)
"""


def test_a_living_worker_is_spared_though_a_dead_workers_stage_has_started_its_manager(
    killed, program, warnings, tmp_path
):
    """It has the mark of that one in its environment, and its own in its memory."""
    dead = killed('program')
    dead.die()
    worker = program(dead.mark, sys.executable, '-c', WORKER, str(tmp_path / 'marked'))
    wait_for((tmp_path / 'marked').exists, 'the mark')
    LeftBehind({dead.mark: 'a/worker_0'}, warnings.append).end()
    assert alive([worker, *dead.tree]) == [worker]


def test_a_worker_of_the_same_pid_that_was_started_at_another_time_is_another(
    killed, program, warnings
):
    dead = killed('program')
    dead.die()
    another = program(worker_mark(dead.worker.pid, dead.start + 1))
    LeftBehind({dead.mark: 'a/worker_0'}, warnings.append).end()
    assert alive([another, *dead.tree]) == [another]


def test_those_who_have_started_this_process_are_spared(killed):
    """A stage may restart its own manager when that has died."""
    dead = killed('program')
    dead.die()
    code = f"""
from worker_pipeline.recovery.left_behind import LeftBehind
LeftBehind({{{dead.mark!r}: 'a/worker_0'}}, print).end()
"""
    shell = ['sh', '-c', '"$0" -c "$1"; echo lives', sys.executable, code]
    environment = {**os.environ, WORKER_MARK: dead.mark}
    seen = subprocess.run(shell, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    assert seen.stdout.splitlines()[-1] == 'lives'
    assert alive(dead.tree) == []


def test_nothing_is_said_where_nothing_was_left(killed, state_dir, warnings):
    worker = killed('program')
    for each in worker.tree:
        each.kill()
    wait_for(lambda: not alive(worker.tree), 'the death of what it has started')
    worker.enter(state_dir.new_liveness_record('port', 'worker_0', 7))
    worker.die()
    recover(state_dir, warnings.append, journal_kept=True)
    assert warnings == []
