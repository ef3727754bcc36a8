# SPDX-License-Identifier: Apache-2.0
"""One pipeline that is paused again and again: ``python -m storm.pause_run KIND SECONDS ...``.

A plain node feeds it and listens to it meanwhile. After each pause the feeding stops until all that
was accepted has come out; then what was heard is compared with what the manager has counted.
Prints one line of JSON per pause.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Header
from support.external_node import without_shared_memory
from support.manager_process import ManagerProcess
from support.observer import header, number_of

from storm.freezer import Freezer
from worker_pipeline.testing import isolated_domain, wait_for

# Items/s. Those that come while all workers are stopped have to be done afterwards.
RATE = 10.0
BETWEEN = 0.5  # s between the two halves that do not continue together
WORKERS = {'first': 2, 'second': 2}
PATIENCE = 150.0  # s
KINDS = ('whole', 'manager', 'workers', 'manager first', 'workers first')
# What a plain SIGSTOP does not show; it needs the right to make control groups.
FROZEN_KINDS = ('frozen', 'frozen workers')
STAMPS = iter(range(sys.maxsize))


@attrs.frozen
class PauseResult:
    """What came of one pause."""

    kind: str
    seconds: float
    replaced: int  # workers that live no more
    quarantined: int
    redelivered: int  # items given to another worker: none was to blame
    dropped: int  # items, and counted
    missed: int  # outputs that the subscriber did not receive
    counted: int  # outputs that the manager counts as lost
    twice: int  # outputs received twice
    unreceived: int  # inputs that were published and not accepted
    told: bool  # whether the manager's log has the pause
    recovery: float  # s from its end to the first output of an item fed after it


class PlainNode:
    """Feeds the first stage, and listens to the last; its thread spins it."""

    def __init__(self, domain: int) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node('plain', context=self._context)
        self.fed: list[int] = []
        self.fed_at: dict[int, float] = {}
        self.heard: list[int] = []
        self.heard_at: dict[int, float] = {}
        self.values: dict[str, dict[str, str]] = {}
        self.pids: dict[str, int] = {}
        self.diagnosed_at = 0.0
        self.is_feeding = False
        self.feed = self.node.create_publisher(Header, '/airside/first/input', 1000)
        self.node.create_subscription(Header, '/airside/second/output', self._on_output, 1000)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self.node.create_timer(1.0 / RATE, self._feed)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(rclpy.executors.ExternalShutdownException):
            self._executor.spin()

    def _feed(self) -> None:
        if self.is_feeding:
            number = next(STAMPS)
            self.fed.append(number)
            self.fed_at[number] = time.monotonic()
            self.feed.publish(header(number))

    def _on_output(self, message: Header) -> None:
        number = number_of(message)
        self.heard.append(number)
        self.heard_at.setdefault(number, time.monotonic())

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.removeprefix('/airside/')
            self.values[name] = {each.key: each.value for each in status.values}
            if '/worker_' in name:
                self.pids[name] = int(self.values[name]['pid'] or 0)
        self.diagnosed_at = time.monotonic()

    def describe(self) -> str:
        """Return what is known here, for the report of a failure."""
        stages = {name: values for name, values in self.values.items() if name in WORKERS}
        return (
            f'{len(self.fed)} fed, {len(self.heard)} heard; matched: '
            f'{self.feed.get_subscription_count()} inputs, '
            f'{self.node.count_publishers("/airside/second/output")} outputs; diagnostics of '
            f'{time.monotonic() - self.diagnosed_at:.1f} s ago: {stages}'
        )

    def count(self, stage: str, key: str) -> int:
        return int(self.values[stage][key])

    def total(self, key: str) -> int:
        return sum(self.count(stage, key) for stage in WORKERS)

    def close(self) -> None:
        self._context.try_shutdown()
        self._thread.join(5.0)


class PauseRun:
    """Pauses one pipeline."""

    def __init__(self, node: PlainNode, manager: ManagerProcess, freezer: Freezer | None) -> None:
        self.node = node
        self.manager = manager
        self._freezer = freezer

    def wait(self, fact: Callable[[], bool], what: str) -> None:
        wait_for(
            fact, what, PATIENCE, seen=lambda: f'{self.node.describe()}\n{self.manager.output}'
        )

    def wait_until_active(self) -> None:
        """Wait until every worker is active and the outside is matched."""
        self.wait(lambda: 'every stage is active' in self.manager.output, 'the stages')
        self.wait(lambda: self.node.feed.get_subscription_count() > 0, 'a matched input')
        self.wait(lambda: len(self.node.pids) == sum(WORKERS.values()), 'the workers')
        self.wait(lambda: self.node.count('second', 'listeners') > 0, 'a matched output')

    def settle(self) -> None:
        """Stop feeding, and wait until all that was accepted has been counted."""
        node = self.node
        node.is_feeding = False
        since = time.monotonic() + 0.3

        def is_over() -> bool:
            left = node.total('queued') + node.total('in_flight')
            flows = node.count('first', 'delivered') == node.count('second', 'accepted')
            return node.diagnosed_at > since and not left and flows

        self.wait(is_over, 'a pipeline that is drained')
        # What waits for its subscribers is delivered, and not heard yet.
        deadline = time.monotonic() + 8.0
        while self._missed() > 0 and time.monotonic() < deadline:
            time.sleep(0.05)

    def _missed(self) -> int:
        return self.node.count('second', 'delivered') - len(self.node.heard_at)

    def pause(self, kind: str, seconds: float, chance: random.Random) -> PauseResult:
        """Pause it once, at a random moment of its work."""
        node = self.node
        self.settle()
        before = {**node.pids}
        counts = self._counts()
        offsets = len(node.fed), len(node.heard) - len(node.heard_at), self._missed()
        log = len(self.manager.output)
        node.is_feeding = True
        time.sleep(1.0 + chance.random())
        with self._paused(kind):
            time.sleep(seconds)
        ended_at = time.monotonic()
        self.wait(lambda: self._recovered(ended_at) is not None, f'an item fed after {kind}')
        recovery = (self._recovered(ended_at) or 0.0) - ended_at
        time.sleep(1.0)
        self.settle()
        grown = {key: count - counts[key] for key, count in self._counts().items()}
        fed, twice, missed = offsets
        return PauseResult(
            kind=kind,
            seconds=seconds,
            replaced=sum(node.pids[name] != pid for name, pid in before.items()),
            quarantined=grown['quarantined'],
            redelivered=grown['redelivered'],
            dropped=grown['dropped'],
            missed=self._missed() - missed,
            counted=grown['outputs_lost'],
            twice=len(node.heard) - len(node.heard_at) - twice,
            unreceived=len(node.fed) - fed - grown['accepted'],
            told='stood still' in self.manager.output[log:]
            or 'are stopped' in self.manager.output[log:],
            recovery=recovery,
        )

    def _counts(self) -> dict[str, int]:
        keys = ('quarantined', 'redelivered', 'dropped', 'outputs_lost')
        counts = {key: self.node.total(key) for key in keys}
        return {**counts, 'accepted': self.node.count('first', 'accepted')}

    def _recovered(self, ended_at: float) -> float | None:
        times = [
            at
            for number, at in [*self.node.heard_at.items()]
            if self.node.fed_at[number] > ended_at
        ]
        return min(times, default=None)

    @contextlib.contextmanager
    def _paused(self, kind: str) -> Iterator[None]:
        manager = [self.node.count('manager', 'pid')]  # not the process that has started it
        workers = [*self.node.pids.values()]
        whole = [each.pid for each in self.manager.relatives()]
        if kind in FROZEN_KINDS:
            assert self._freezer is not None
            with self._freezer.frozen(whole if kind == 'frozen' else workers):
                yield
            return
        stopped = {'manager': manager, 'workers': workers}.get(kind, whole)
        first = {'manager first': manager, 'workers first': workers}.get(kind, [])
        _signal(stopped, signal.SIGSTOP)
        try:
            yield
            if first:
                _signal(first, signal.SIGCONT)
                time.sleep(BETWEEN)
        finally:
            _signal(stopped, signal.SIGCONT)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def parameters(*, journal: bool) -> dict[str, Any]:
    """Return the parameters of the pipeline, with the usual timeouts."""
    found: dict[str, Any] = {'stages': [*WORKERS], 'journal': journal, 'heartbeat_timeout': 1.0}
    for name, count in WORKERS.items():
        settings = {'workers': count, 'queue_size': 4000, 'params': {'seconds': 0.005}}
        found[name] = {'plugin': 'support.stages:Work', **settings}
    found['second'] |= {'input': 'first', 'overflow': 'block'}
    return found


def run(
    kinds: Iterable[str],
    durations: Iterable[float],
    repeats: int,
    seed: int,
    *,
    plain: bool,
    journal: bool,
) -> Iterator[PauseResult]:
    """Start a pipeline, pause it in each way, and yield what came of it."""
    chance = random.Random(seed)
    with contextlib.ExitStack() as stack:
        domain = stack.enter_context(isolated_domain())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='pauses_')))
        manager = ManagerProcess(folder, parameters(journal=journal), domain)
        stack.callback(manager.close)
        with contextlib.nullcontext() if plain else without_shared_memory():
            node = PlainNode(domain)
        stack.callback(node.close)
        freezer = Freezer.find()
        if freezer is not None:
            stack.callback(freezer.close)
        paused = PauseRun(node, manager, freezer)
        paused.wait_until_active()
        for _ in range(repeats):
            for kind in kinds:
                for seconds in durations:
                    yield paused.pause(kind, seconds, chance)
        manager.signal(signal.SIGINT)
        manager.wait()


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(prog='python -m storm.pause_run', description=__doc__)
    parser.add_argument('kinds', help=f'separated by commas: {", ".join(KINDS + FROZEN_KINDS)}')
    parser.add_argument('seconds', help='of the pauses, separated by commas')
    parser.add_argument('--repeats', type=int, default=1)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--plain', action='store_true', help="a node with ROS 2's DDS settings")
    parser.add_argument('--journal', action='store_true')
    options = parser.parse_args()
    durations = [float(each) for each in options.seconds.split(',')]
    for result in run(
        options.kinds.split(','),
        durations,
        options.repeats,
        options.seed,
        plain=options.plain,
        journal=options.journal,
    ):
        print(json.dumps(attrs.asdict(result)), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
