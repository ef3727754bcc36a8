# SPDX-License-Identifier: Apache-2.0
"""Workers that start processes, as the code of stages does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from worker_pipeline.system.own_tree import end_own_tree, is_abandoned

SLEEP = ['sleep', '1000']
_kept: list[Any] = []  # so that nothing ends them


def nap(seconds: float = 1000.0) -> None:
    """Sleep, as a child process."""
    time.sleep(seconds)


def _shell() -> None:
    os.system('sleep 1000 &')


def _program(**how: Any) -> None:
    _kept.append(subprocess.Popen(SLEEP, **how))


def _fork(then: Callable[[], None] = nap) -> int:
    pid = os.fork()
    if not pid:
        try:
            then()
        finally:
            os._exit(0)
    return pid


def _daemon() -> None:
    def begin() -> None:
        os.setsid()
        _fork()

    os.waitpid(_fork(begin), 0)


def _process(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=nap)
    process.start()
    _kept.append(process)


def _pool() -> None:
    pool = ProcessPoolExecutor(2)
    pool.submit(nap, 0.0).result()
    _kept.append(pool)


def _ignores_sigterm() -> None:
    def begin() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        nap()

    _fork(begin)


def _stopped() -> None:
    os.kill(_fork(), signal.SIGSTOP)


def _threaded() -> None:
    """Start a process of which only the main thread has ended."""
    code = 'import ctypes, threading, time; '
    code += 'threading.Thread(target=time.sleep, args=(1000,)).start(); '
    code += 'ctypes.CDLL(None).pthread_exit(None)'
    process = subprocess.Popen([sys.executable, '-c', code])
    _kept.append(process)
    while Path(f'/proc/{process.pid}/stat').read_text().rpartition(') ')[2][0] != 'Z':
        time.sleep(0.01)


def _comet() -> None:
    def go_on() -> None:
        while True:
            if os.fork():
                os._exit(0)
            time.sleep(0.001)

    _fork(go_on)


class Tree(NamedTuple):
    """A way to start processes, and how many there are at least."""

    grow: Callable[[], None]
    size: int = 1


TREES = {
    'shell': Tree(_shell),
    'program': Tree(_program),
    'session': Tree(lambda: _program(start_new_session=True)),
    'clean_program': Tree(lambda: _program(env={})),
    'clean_session': Tree(lambda: _program(env={}, start_new_session=True)),
    'fork': Tree(lambda: _kept.append(_fork())),
    'daemon': Tree(_daemon),
    'multiprocessing_fork': Tree(lambda: _process('fork')),
    'multiprocessing_spawn': Tree(lambda: _process('spawn')),
    'multiprocessing_forkserver': Tree(lambda: _process('forkserver'), 2),
    'pool': Tree(_pool),
    'ignores_sigterm': Tree(_ignores_sigterm),
    'stopped': Tree(_stopped),
    'threaded': Tree(_threaded),
}


def run(kind: str, folder: Path) -> None:
    """Start the processes of a kind, note that in a folder, and wait for SIGUSR1."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    if kind == 'comet':
        _comet()
    elif kind == 'tidy':
        _program()
    else:
        TREES[kind].grow()
    (folder / 'grown').touch()
    signal.sigwait({signal.SIGUSR1})
    if kind == 'tidy':
        _kept[0].terminate()
        _kept[0].wait()


def run_abandoned(kind: str, folder: Path) -> None:
    """Start the processes of a kind; end them when the fork server is dead."""
    TREES[kind].grow()
    (folder / 'grown').touch()
    while not is_abandoned():
        time.sleep(0.01)
    end_own_tree('stage/worker_0')
