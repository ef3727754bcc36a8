# SPDX-License-Identifier: Apache-2.0
"""The folder of a running pipeline goes, or a part of it: everything goes on, and is there again.

As a tidy script, systemd's RemoveIPC or a mistake would have it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.exit_codes import EXIT_ALREADY_RUNNING
from worker_pipeline.recovery.folder_lock import manager_of
from worker_pipeline.testing import wait_for

SHARED = {
    'echo': stage('Echo', workers=2, queue_size=1000),
    'journal': True,
    'restart_limit': 1000,
    'restart_backoff_max': 0.2,
}
# Within a second, on a machine that is not overloaded, s.
MOST = 4.0
PARTS = ('manager', 'socket', 'journal', 'helpers', 'output_relay', 'workers', 'states', 'frames')


def replace_by_copy(folder: Path) -> None:
    former = folder.with_name('former')
    folder.rename(former)
    shutil.copytree(former, folder, ignore=lambda *_: ['socket', 'workers'])
    shutil.rmtree(former)


def rename(folder: Path) -> None:
    shutil.rmtree(folder.with_name('renamed'), ignore_errors=True)
    folder.rename(folder.with_name('renamed'))


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text('in the way')


def remove(name: str) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return do


def replace_by_folder(name: str) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        remove(name)(folder)
        (folder / name / 'in the way').mkdir(parents=True)

    return do


LOSSES = {
    'the folder': shutil.rmtree,
    # Not higher: other pipelines of this user have their folders there.
    'that of its domain': lambda folder: shutil.rmtree(folder.parent),
    'the folder, renamed': rename,
    'the folder, replaced by a copy': replace_by_copy,
    'the folder, replaced by a file': replace_by_file,
    'only what is in the lock': lambda folder: (folder / 'manager').write_text(''),
    'only what is in the journal': lambda folder: (folder / 'journal').write_text(''),
    **{f'only {name}': remove(name) for name in PARTS},
    **{
        f'{name}, replaced by a folder': replace_by_folder(name)
        for name in (*PARTS[:3], 'output_relay')
    },
}
# The others, which take the same ways, are tried with -m storm.
USUAL = ('the folder', 'the folder, renamed', 'only socket', 'only manager', 'only journal')
CASES = [
    pytest.param(loss, id=name, marks=[] if name in USUAL else pytest.mark.storm)
    for name, loss in LOSSES.items()
]


@pytest.fixture
def folder(shared) -> Path:
    return shared.manager.folder


def before_start(observer):
    """Collect all outputs."""
    return observer.collect('echo/output')


@pytest.fixture(scope='module')
def echo(shared):
    """Feeds items, and waits until all of all tests are out, each once and in order."""
    answers = shared.before
    feed = shared.observer.feeder('echo/input')
    fed: list[int] = []

    def echo_items(count: int = 20) -> None:
        for _ in range(count):
            fed.append(len(fed))
            feed.publish(header(fed[-1]))
        wait_for(
            lambda: len(answers) >= len(fed),
            f'{len(fed)} answers',
            seen=lambda: (len(answers), shared.manager.show()),
        )
        assert [number_of(each) for each in answers] == fed

    return echo_items


def is_locked(manager) -> bool:
    """Return whether the lock is that of the guardian's manager."""
    pid = manager_of(manager.folder / 'manager')
    return pid is not None and psutil.Process(pid).ppid() == manager.process.pid


def is_whole(manager) -> bool:
    folder = manager.folder
    return all((folder / name).exists() for name in PARTS) and (
        is_locked(manager)
        and (folder / 'socket').is_socket()
        and (folder / 'journal').stat().st_size > 0
        and (folder / 'output_relay').is_file()
        and len(records_of(folder)) == 2
    )


def records_of(folder: Path) -> list[Path]:
    """Return the liveness records, without the pipes beside them."""
    return [each for each in (folder / 'workers').iterdir() if each.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize('loss', CASES)
def test_what_is_removed_is_there_again_within_a_second(shared, folder, echo, loss, capsys):
    """Live workers go on meanwhile, and a replacement connects."""
    manager, observer = shared.manager, shared.observer
    observer.wait_until_active('echo', 2)
    wait_for(lambda: is_whole(manager), 'a whole folder', seen=manager.show)
    echo()
    log = len(manager.output)
    loss(folder)
    begin = time.monotonic()
    echo()
    wait_for(lambda: is_whole(manager), 'a whole folder', seen=manager.show)
    took = time.monotonic() - begin
    with capsys.disabled():
        print(f'\n{took:.2f} s')
    echo()
    wait_for(
        lambda: 'gone while running: ' in manager.output[log:], 'the report', seen=manager.show
    )
    assert 'exited' not in manager.output[log:], 'a live worker was lost'
    assert took < MOST
    victim = observer.kill('echo/worker_0')
    observer.wait_until_replaced('echo/worker_0', victim)
    observer.wait_until_active('echo', 2)
    echo()
    assert 'Traceback' not in manager.output[log:]
    for each in folder.parent.iterdir():
        if each != folder:  # what is kept, or was renamed
            shutil.rmtree(each) if each.is_dir() else each.unlink()


PIPELINE = {
    'stages': ['first', 'second'],
    'first': stage('Work', workers=2, queue_size=1000, params={'seconds': 0.005}),
    'second': stage('Remembers', input='first', overflow='block'),
    'journal': True,
}
WORKERS = ('first/worker_0', 'first/worker_1', 'second/worker_0')


@pytest.mark.slow
def test_the_next_manager_adopts_the_workers_from_the_new_folder(start, observer):
    """With the journal, the liveness records and the saved state that were made anew."""
    manager = start(PIPELINE)
    feed = observer.feeder('first/input')
    heard = observer.collect('second/output')
    observer.wait_until_active('first', 2)
    observer.wait_until_active('second', 1)
    before = [observer.pid_of(each) for each in WORKERS]
    for number in range(200):
        feed.publish(header(number))
    wait_for(lambda: len(heard) > 20, 'the first items', seen=manager.show)
    shutil.rmtree(manager.folder)

    def is_made() -> bool:
        folder = manager.folder
        return (
            (folder / 'socket').exists()
            and len(records_of(folder)) == 3
            and (folder / 'states' / 'second.worker_0').exists()
        )

    wait_for(is_made, 'a whole folder', seen=manager.show)
    manager.signal(signal.SIGKILL)
    manager.wait()
    os.kill(before[2], signal.SIGKILL)  # its state is in the folder only
    manager.start_again()
    wait_for(
        lambda: {number_of(each) for each in heard} == set(range(200)),
        'every item',
        seen=lambda: (len(heard), manager.show()),
    )
    assert [observer.pid_of(each) for each in WORKERS[:2]] == before[:2]
    # How many items it has seen, in the order in which they came: none twice, none not at all.
    counts = {number_of(each): each.frame_id for each in heard}
    assert len(set(counts.values())) == 200, counts


@pytest.mark.slow
def test_a_second_manager_is_refused_while_the_folder_is_gone_and_after(start, observer):
    """Two would answer each item twice."""
    parameters = {'stages': ['echo'], 'echo': stage('Echo', queue_size=1000)}
    manager = start(parameters)
    feed = observer.feeder('echo/input')
    answers = observer.collect('echo/output')
    observer.wait_until_active('echo', 1)
    worker = observer.pid_of('echo/worker_0')
    first = manager.manager_pid
    os.kill(first, signal.SIGSTOP)  # so that the second one finds no folder
    shutil.rmtree(manager.folder)
    second = start(parameters, 'second')
    assert second.wait() == EXIT_ALREADY_RUNNING
    os.kill(first, signal.SIGCONT)
    wait_for(
        lambda: is_locked(manager),
        'the lock of the first one',
        seen=manager.show,
    )
    third = start(parameters, 'third')
    assert third.wait() == EXIT_ALREADY_RUNNING
    for number in range(20):
        feed.publish(header(number))
    wait_for(lambda: len(answers) >= 20, '20 answers', seen=manager.show)
    assert [number_of(each) for each in answers] == list(range(20))
    assert observer.pid_of('echo/worker_0') == worker
    assert f'pid {first}' in second.output
    assert f'pid {first}' in third.output


@pytest.mark.slow
def test_a_manager_ends_if_another_process_has_its_folder(start, observer):
    """As in a container that shares the folder, but not the network. It removes nothing there."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo')})
    observer.wait_until_active('echo', 1)
    shutil.rmtree(manager.folder)
    manager.folder.mkdir()
    with (manager.folder / 'manager').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (manager.folder / 'journal').write_text('of the other one')
        assert manager.wait() == EXIT_ALREADY_RUNNING
        assert {each.name for each in manager.folder.iterdir()} >= {'manager', 'journal'}
        assert (manager.folder / 'journal').read_text() == 'of the other one'
    assert 'found a manager already running, pid not known' in manager.output
    assert 'Traceback' not in manager.output
