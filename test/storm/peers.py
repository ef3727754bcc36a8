# SPDX-License-Identifier: Apache-2.0
"""The same load through the usual pools of worker processes, to compare the losses.

One stage of worker processes is fed in a closed loop; now and then one of them is killed with
SIGKILL, and dead ones are replaced. ``python -m storm.peers PEER ...`` runs one pool in a process
of its own and prints the figures as JSON: a pool whose lock died with its holder hangs for good and
has to be killed. It imports no ROS, as its workers are forked from it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import queue
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import attrs
import psutil

WORKERS = 3
SILENCE = 5.0  # s without an answer, after which the pool is abandoned
CALM_ITEMS = 100  # at the end, without faults
TITLES = {'queue': 'multiprocessing.Queue and a supervisor', 'executor': 'ProcessPoolExecutor'}


@attrs.define
class Load:
    """The load of a peer, and the kills of its workers."""

    items: int
    window: int
    seconds: float
    kill_period: float
    chance: random.Random
    deaths: int = 0
    fed: int = 0
    delivered: Counter[int] = attrs.field(factory=Counter)
    begin: float = attrs.field(factory=time.monotonic)
    heard_at: float = attrs.field(factory=time.monotonic)
    struck_at: float = attrs.field(factory=time.monotonic)

    def take(self, number: int) -> None:
        """Count an item that came out."""
        self.delivered[number] += 1
        self.heard_at = time.monotonic()

    @property
    def silent(self) -> bool:
        """Return whether the pool is abandoned."""
        return time.monotonic() - self.heard_at > SILENCE

    def inject(self) -> None:
        """Kill a random worker, if it is time."""
        now = time.monotonic()
        if not self.kill_period or now < self.struck_at + self.kill_period:
            return
        self.struck_at = now
        # A stopped pool is left alone, and the last items pass without faults, as in the pipeline.
        calm = len(self.delivered) >= self.items - min(CALM_ITEMS, self.items // 10)
        if calm or now - self.heard_at > 1.0:
            return
        # Only children of this process, by their handles: never the pid of another process.
        living = sorted(multiprocessing.active_children(), key=lambda process: process.pid)
        if living:
            self.chance.choice(living).kill()
            self.deaths += 1

    def figures(self, remark: str = '') -> dict[str, Any]:
        """Return the figures."""
        seconds = self.heard_at - self.begin
        return {
            'items in': self.fed,
            'delivered': len(self.delivered),
            'lost': self.fed - len(self.delivered),
            'doubled': sum(count > 1 for count in self.delivered.values()),
            'faults': {'SIGKILL': self.deaths},
            'seconds': seconds,
            'items/s': len(self.delivered) / seconds if seconds else 0.0,
            'remark': remark,
        }


def _work(number: int, seconds: float) -> int:
    time.sleep(seconds)
    return number


def _serve(inputs: Any, outputs: Any, seconds: float) -> None:
    while True:
        outputs.put(_work(inputs.get(), seconds))


def through_queues(load: Load) -> str:
    """Run workers between two queues, with a loop that restarts dead ones; return a remark."""
    inputs, outputs = multiprocessing.Queue(), multiprocessing.Queue()

    def start() -> Any:
        worker = multiprocessing.Process(
            target=_serve, args=(inputs, outputs, load.seconds), daemon=True
        )
        worker.start()
        return worker

    workers = [start() for _ in range(WORKERS)]
    while len(load.delivered) < load.items:
        workers = [worker if worker.is_alive() else start() for worker in workers]
        while load.fed < load.items and load.fed - len(load.delivered) < load.window:
            inputs.put(load.fed)
            load.fed += 1
        try:
            load.take(outputs.get(timeout=0.01))
        except queue.Empty:
            if load.silent:
                # Everything was fed and taken: the rest is lost, but the pool works.
                through = load.fed == load.items and inputs.empty()
                return '' if through else f'stopped after {len(load.delivered)} items'
        load.inject()
    return ''


def through_an_executor(load: Load) -> str:
    """Run an executor that is replaced when it breaks, which loses submitted items."""
    executor = ProcessPoolExecutor(WORKERS)
    pending: set[Future[int]] = set()
    while pending or load.fed < load.items:
        broken = False
        try:
            while load.fed < load.items and len(pending) < load.window:
                pending.add(executor.submit(_work, load.fed, load.seconds))
                load.fed += 1
        except BrokenProcessPool:
            broken = True
        done, pending = wait(pending, timeout=0.01, return_when=FIRST_COMPLETED)
        for future in done:
            try:
                load.take(future.result())
            except BrokenProcessPool:
                broken = True
        if broken:
            executor.shutdown(wait=False)
            executor = ProcessPoolExecutor(WORKERS)
        if load.silent:
            return f'stopped after {len(load.delivered)} items'
        load.inject()
    return ''


PEERS: dict[str, Callable[[Load], str]] = {
    'queue': through_queues,
    'executor': through_an_executor,
}


def run(
    peer: str, *, items: int, window: int, seconds: float, kill_period: float, seed: int
) -> dict[str, Any]:
    """Run the load through a peer, within a time limit, and return its figures."""
    from support.manager_process import python_path  # not into every worker, it brings ROS

    limit = 60.0 + 0.03 * items
    arguments = (items, window, seconds, kill_period, seed)
    with tempfile.TemporaryFile('w+') as output, tempfile.TemporaryFile('w+') as errors:
        process = subprocess.Popen(
            [sys.executable, '-m', 'storm.peers', peer, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            # Executors print tracebacks about broken pools.
            stderr=errors,
            cwd=Path(__file__).parents[2],
            env=os.environ | {'PYTHONPATH': python_path()},
            start_new_session=True,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end(process)
        output.seek(0)
        lines = output.read().splitlines()
        if not lines:
            errors.seek(0)
            last = (errors.read().splitlines() or ['no output'])[-1]
            return {'remark': f'not done within {limit:g} s, or failed: {last}'}
        return json.loads(lines[-1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a peer with all its workers."""
    family = []
    try:
        own = psutil.Process(process.pid)
        family = [own, *own.children(recursive=True)]
    except psutil.NoSuchProcess:
        pass
    for each in family:
        try:
            each.kill()  # psutil makes sure that it is still the same process
        except psutil.NoSuchProcess:
            continue
    process.wait(10.0)


def main() -> int:
    """Run one peer in this process; return the exit code."""
    parser = argparse.ArgumentParser(prog='python -m storm.peers', description=__doc__)
    parser.add_argument('peer', choices=list(PEERS))
    parser.add_argument('items', type=int)
    parser.add_argument('window', type=int)
    parser.add_argument('seconds', type=float)
    parser.add_argument('kill_period', type=float)
    parser.add_argument('seed', type=int)
    options = parser.parse_args()
    load = Load(
        options.items,
        options.window,
        options.seconds,
        options.kill_period,
        random.Random(options.seed),
    )
    remark = PEERS[options.peer](load)
    print(json.dumps(load.figures(remark)), flush=True)
    for worker in multiprocessing.active_children():
        worker.kill()
    # At exit, queues and executors would wait for threads that may never end.
    os._exit(0)


if __name__ == '__main__':
    sys.exit(main())
