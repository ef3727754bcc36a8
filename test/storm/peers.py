"""The same load through what is usually written: what others lose.

One stage of worker processes, fed in a closed loop, one of them killed with SIGKILL every now and
then, dead ones replaced. ``python -m storm.peers PEER ...`` runs one in a process of its own and
prints what became of it as JSON: a pool whose lock died with its holder hangs for good, and is
ended from outside. Imports no ROS: its workers are forked from it.
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
SILENCE = 5.0  # s without an answer, after which nothing more is waited for
CALM = 100  # items before the end that pass in peace
TITLES = {'queue': 'multiprocessing.Queue and a supervisor', 'executor': 'ProcessPoolExecutor'}


@attrs.define
class Load:
    """What a peer is to do, and who is killed meanwhile."""

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
        """An item came out."""
        self.delivered[number] += 1
        self.heard_at = time.monotonic()

    @property
    def silent(self) -> bool:
        """Whether nothing more is waited for."""
        return time.monotonic() - self.heard_at > SILENCE

    def strike(self) -> None:
        """Kill one of the workers, if it is time."""
        now = time.monotonic()
        if not self.kill_period or now < self.struck_at + self.kill_period:
            return
        self.struck_at = now
        # One that has stopped is left alone, and so are the last items, as the pipeline's are.
        calm = len(self.delivered) >= self.items - min(CALM, self.items // 10)
        if calm or now - self.heard_at > 1.0:
            return
        # Children of this process alone, and by their handles: never somebody else's pid.
        living = sorted(multiprocessing.active_children(), key=lambda process: process.pid)
        if living:
            self.chance.choice(living).kill()
            self.deaths += 1

    def figures(self, remark: str = '') -> dict[str, Any]:
        """What became of it."""
        seconds = self.heard_at - self.begin
        return {
            'items in': self.fed,
            'delivered': len(self.delivered),
            'lost': self.fed - len(self.delivered),
            'doubled': sum(count > 1 for count in self.delivered.values()),
            'blows': {'SIGKILL': self.deaths},
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
    """The usual pool by hand: workers between two queues, and a loop that restarts the dead."""
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
                # Everything fed, and nothing left to be taken: the rest is lost, the pool lives.
                through = load.fed == load.items and inputs.empty()
                return '' if through else f'stopped after {len(load.delivered)} items'
        load.strike()
    return ''


def through_an_executor(load: Load) -> str:
    """The usual handling: a broken executor is replaced, and what had been submitted is lost."""
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
        load.strike()
    return ''


PEERS: dict[str, Callable[[Load], str]] = {
    'queue': through_queues,
    'executor': through_an_executor,
}


def run(
    peer: str, *, items: int, window: int, seconds: float, kill_period: float, seed: int
) -> dict[str, Any]:
    """What becomes of the load with a peer; bounded in time, whatever it does."""
    from support.managing import python_path  # not into every worker, it brings ROS

    limit = 60.0 + 0.03 * items
    arguments = (items, window, seconds, kill_period, seed)
    with tempfile.TemporaryFile('w+') as output, tempfile.TemporaryFile('w+') as errors:
        process = subprocess.Popen(
            [sys.executable, '-m', 'storm.peers', peer, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            # Executors tell of broken pools in tracebacks of their threads.
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
            last = (errors.read().splitlines() or ['it said nothing'])[-1]
            return {'remark': f'not done within {limit:g} s, or failed: {last}'}
        return json.loads(lines[-1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a peer with all its workers."""
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
    """One peer, in this process; returns the exit code."""
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
    # Queues and executors wait at exit for threads that may wait for ever.
    os._exit(0)


if __name__ == '__main__':
    sys.exit(main())
