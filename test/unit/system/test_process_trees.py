# SPDX-License-Identifier: Apache-2.0
"""A worker's whole process tree goes with it: real processes, without ROS."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support import tree_workers
from support.child_processes import child
from support.process_trees import MANAGER, alive, is_alive, tree_below
from support.tree_workers import TREES

from worker_pipeline.system.leftovers import describe_leftovers
from worker_pipeline.system.processes import Launcher, WorkerProcess
from worker_pipeline.testing import wait_for

pytestmark = pytest.mark.slow  # these start processes


class Watched:
    """A launcher, and what it reports."""

    def __init__(self) -> None:
        self.exits: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self.left: list[tuple[int, str, int]] = []
        self.launcher = Launcher(
            'json',
            lambda pid, reason: self.exits.put((pid, reason)),
            on_left_behind=lambda *each: self.left.append(each),
        )

    def exit(self) -> str:
        return self.exits.get(timeout=40.0)[1]


@pytest.fixture
def watched() -> Iterator[Watched]:
    found = Watched()
    found.launcher.open()
    yield found
    found.launcher.close()


@pytest.fixture
def grow(watched: Watched, tmp_path: Path) -> Iterator[Callable[[str], tuple[WorkerProcess, list]]]:
    """Start a worker with a tree of some kind. Return it, and the processes below it."""
    grown: list[psutil.Process] = []

    def start(kind: str) -> tuple[WorkerProcess, list[psutil.Process]]:
        folder = tmp_path / f'{kind}_{len(grown)}'
        folder.mkdir()
        worker = watched.launcher.start(tree_workers.run, (kind, folder), 'worker')
        tree = tree_below(folder, worker.pid)
        grown.extend(tree)
        return worker, tree

    yield start
    for process in grown:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.parametrize('kind', TREES)
def test_a_killed_workers_tree_is_gone_before_its_exit_is_reported(watched, grow, kind):
    """Whatever it is made of. A replacement can have its locks, ports and devices at once."""
    worker, tree = grow(kind)
    assert len(tree) >= TREES[kind].size
    worker.send_signal(signal.SIGKILL)
    assert watched.exit() == 'killed by SIGKILL'
    assert alive(tree) == []
    (left,) = watched.left
    assert left[0] == worker.pid
    assert re.fullmatch(r'(1 process|\d+ processes) behind: .*; killed', left[1])
    assert left[2] >= TREES[kind].size


@pytest.mark.parametrize('kind', ['program', 'pool', 'daemon', 'ignores_sigterm', 'clean_session'])
def test_a_worker_that_is_shut_down_takes_its_tree_with_it(watched, grow, kind):
    """Terminated, and killed only when that is ignored."""
    worker, tree = grow(kind)
    worker.send_signal(signal.SIGUSR1)
    assert watched.exit() == 'exit code 0'
    assert alive(tree) == []
    outcome = 'killed' if kind == 'ignores_sigterm' else 'terminated'
    assert watched.left[0][1].endswith(f'; {outcome}')


def test_a_worker_that_ends_its_own_children_leaves_nothing(watched, grow):
    """Nothing is reported."""
    worker, tree = grow('tidy')
    worker.send_signal(signal.SIGUSR1)
    assert watched.exit() == 'exit code 0'
    assert alive(tree) == []
    assert watched.left == []


def test_other_workers_keep_their_trees(watched, grow):
    """Daemons included; each death takes its own."""
    kinds = ['program', 'daemon', 'clean_session']
    grown = {kind: grow(kind) for kind in kinds}
    for index, kind in enumerate(kinds):
        worker, tree = grown[kind]
        worker.send_signal(signal.SIGKILL)
        assert watched.exit() == 'killed by SIGKILL'
        assert alive(tree) == []
        assert watched.left[-1][0] == worker.pid
        for other in kinds[index + 1 :]:
            assert alive(grown[other][1]) == grown[other][1]


def test_workers_that_die_together_are_told_apart(watched, grow):
    """By the session, or else the mark, of what they have left."""
    grown = [grow(kind) for kind in ('program', 'session', 'daemon', 'fork')]
    for worker, _ in grown:
        worker.send_signal(signal.SIGKILL)
    for _ in grown:
        assert watched.exit() == 'killed by SIGKILL'
    assert {pid: count for pid, _, count in watched.left} == {
        worker.pid: len(tree) for worker, tree in grown
    }, watched.left


def test_a_process_that_forks_for_ever_is_stopped(watched, grow):
    """Each of its kind exits as soon as it has forked the next."""
    worker, _ = grow('comet')
    worker.send_signal(signal.SIGKILL)
    assert watched.exit() == 'killed by SIGKILL'
    wait_for(lambda: marked(worker) == [], 'that none is left')


def marked(worker: WorkerProcess) -> list[int]:
    from worker_pipeline.system.process_table import is_marked, read_processes, worker_mark

    mark = worker_mark(worker.pid, worker.start)
    return [each.pid for each in read_processes() if is_marked(each.pid, mark)]


def test_the_tree_of_a_helper_goes_too(watched, tmp_path):
    """As of a module that starts a process while it is imported."""
    helper = watched.launcher.start_helper(tree_workers.run, ('session', tmp_path))
    tree = tree_below(tmp_path, helper.pid)
    helper.send_signal(signal.SIGKILL)
    assert helper.join(20.0)
    assert alive(tree) == []
    assert helper.left_behind.startswith('1 process behind: sleep (pid ')


def test_a_closed_launcher_takes_all_trees_with_it(tmp_path):
    watched = Watched()
    watched.launcher.open()
    worker = watched.launcher.start(tree_workers.run, ('daemon', tmp_path), 'worker')
    tree = tree_below(tmp_path, worker.pid)
    watched.launcher.close()
    assert (
        alive(
            [psutil.Process(pid) for pid in [each.pid for each in tree] if psutil.pid_exists(pid)]
        )
        == []
    )
    assert not psutil.pid_exists(worker.pid)


@pytest.mark.parametrize('kind', ['program', 'daemon', 'fork', 'clean_program'])
def test_the_tree_goes_although_the_fork_server_was_killed(watched, grow, kind):
    """Another one is started, and knows it by its session or its mark."""
    worker, tree = grow(kind)
    (server,) = watched.launcher.helper_pids
    os.kill(server, signal.SIGKILL)
    worker.send_signal(signal.SIGKILL)
    assert watched.exit() in ('killed by SIGKILL', 'ended, status unknown')
    assert alive(tree) == []
    assert watched.left[0][0] == worker.pid
    assert watched.launcher.helper_pids != [server]


@pytest.mark.parametrize('kind', ['program', 'daemon'])
def test_the_tree_goes_although_the_manager_was_killed(tmp_path, kind):
    """The fork server lives for as long as its last worker, and no longer."""
    with child(MANAGER, tmp_path, kind) as manager:
        worker, server = (psutil.Process(int(pid)) for pid in manager.line().split())
        tree = tree_below(tmp_path, worker.pid)
        os.kill(manager.pid, signal.SIGKILL)
        assert alive([worker, server, *tree]) == [worker, server, *tree]
        worker.kill()
        wait_for(lambda: alive([worker, server, *tree]) == [], 'the end of all')


def test_the_tree_of_an_adopted_worker_goes_too(watched, tmp_path):
    """Both managers' fork servers look after it; the next manager is told of its exit last."""
    with child(MANAGER, tmp_path, 'clean_session') as manager:
        worker, server = (psutil.Process(int(pid)) for pid in manager.line().split())
        tree = tree_below(tmp_path, worker.pid)
        os.kill(manager.pid, signal.SIGKILL)
        watched.launcher.adopt(worker.pid)
        worker.kill()
        watched.exit()
        wait_for(lambda: alive([worker, server, *tree]) == [], 'the end of all')


@pytest.mark.parametrize('kind', ['program', 'daemon', 'session'])
def test_the_tree_of_an_adopted_worker_goes_although_its_fork_server_was_killed(
    watched, tmp_path, kind
):
    with child(MANAGER, tmp_path, kind) as manager:
        worker, server = (psutil.Process(int(pid)) for pid in manager.line().split())
        tree = tree_below(tmp_path, worker.pid)
        os.kill(manager.pid, signal.SIGKILL)
        server.kill()
        watched.launcher.adopt(worker.pid)
        worker.kill()
        watched.exit()
        assert alive(tree) == []
        assert watched.left[0][0] == worker.pid


@pytest.mark.parametrize('kind', TREES)
def test_a_worker_whose_manager_and_fork_server_were_killed_ends_its_tree_itself(tmp_path, kind):
    """Before it exits."""
    with child(MANAGER, tmp_path, kind, 'run_abandoned') as manager:
        worker, server = (psutil.Process(int(pid)) for pid in manager.line().split())
        tree = tree_below(tmp_path, worker.pid)
        os.kill(manager.pid, signal.SIGKILL)
        server.kill()
        wait_for(lambda: not is_alive(worker), 'the end of the worker')
        if kind in ('multiprocessing_spawn', 'multiprocessing_forkserver'):
            wait_for(lambda: alive(tree) == [], 'the end of the resource tracker, by itself')
        assert alive(tree) == []


def test_a_stopped_fork_server_delays_no_exit(watched, grow):
    """It is killed when it is needed; another one ends what was left."""
    worker, tree = grow('program')
    (server,) = watched.launcher.helper_pids
    os.kill(server, signal.SIGSTOP)
    worker.send_signal(signal.SIGKILL)
    assert watched.exit() == 'killed by SIGKILL'
    watched.launcher.start(os._exit, (3,), 'worker')
    assert watched.exit() == 'exit code 3'
    wait_for(lambda: alive(tree) == [], 'the end of what was left')
    wait_for(lambda: watched.left, 'the report')
    assert watched.left[0][0] == worker.pid
    assert watched.launcher.helper_pids != [server]


def test_a_fork_server_that_continues_ends_what_was_left(watched, grow):
    """As nobody has needed another one."""
    worker, tree = grow('program')
    (server,) = watched.launcher.helper_pids
    os.kill(server, signal.SIGSTOP)
    worker.send_signal(signal.SIGKILL)
    assert watched.exit() == 'killed by SIGKILL'
    os.kill(server, signal.SIGCONT)
    wait_for(lambda: alive(tree) == [], 'the end of what was left')
    wait_for(lambda: watched.left, 'the report')


def test_a_program_inherits_nothing_of_the_worker(grow):
    """But its standard input, output and error."""
    _, (program,) = grow('program')
    wait_for(lambda: program.name() == 'sleep', 'the program')
    assert sorted(os.listdir(f'/proc/{program.pid}/fd')) == ['0', '1', '2']


def test_leftovers_are_described():
    """A few of them by name."""
    assert describe_leftovers([(7, 'sleep')], 'killed') == (
        '1 process behind: sleep (pid 7); killed'
    )
    assert describe_leftovers([(pid, 'a') for pid in range(7)], 'terminated') == (
        '7 processes behind: a (pid 0), a (pid 1), a (pid 2), a (pid 3), a (pid 4) '
        'and 2 more; terminated'
    )
