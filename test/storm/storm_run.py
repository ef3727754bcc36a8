# SPDX-License-Identifier: Apache-2.0
"""One storm: a real pipeline is fed, faults are injected, and the result is checked."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import psutil
from support.manager_process import ManagerProcess

from storm.external_node import ExternalNode
from storm.fault_injector import FaultInjector
from storm.feeder import Feeder
from storm.frame_watch import FrameWatch
from storm.history import Verdict, check
from storm.peers import CALM_ITEMS
from storm.recorder import Recorder
from storm.settings import SLOTS, Settings
from worker_pipeline.recovery.state_dir import state_dir_path
from worker_pipeline.ros.shared_memory import SharedMemoryUse

POLL_PERIOD = 0.004  # s
PROGRESS_PERIOD = 10.0  # s
START_TIME = 60.0  # s until a manager receives items
STOP_TIME = 60.0  # s
GUARDIAN_KILLS = 4  # of so many kills, one is of the guardian and of the manager with it
LATE_MESSAGES = 1.5  # s to wait for messages that must not come any more
LEFTOVERS_TIMEOUT = 10.0  # s, for the frames of a worker that was killed at the very end
LOG_TAIL = 40  # lines


@attrs.frozen
class StormResult:
    """The result of a storm."""

    settings: Settings
    verdict: Verdict
    problems: list[str]  # besides those of the verdict
    figures: dict[str, Any]

    @property
    def good(self) -> bool:
        """Return whether every promise was kept."""
        return self.verdict.good and not self.problems

    def problem_lines(self) -> list[str]:
        """Return everything that went wrong, line by line."""
        return [*self.verdict.problems(), *self.problems]


class StormAbortedError(Exception):
    """The storm was aborted, for the reason in the message."""


def run(
    settings: Settings, domain: int, directory: Path, log: Callable[[str], None] = print
) -> StormResult:
    """Run a storm over a pipeline.

    Args:
        settings: of the storm.
        domain: the ROS domain.
        directory: for the log, the parameters and the history.
        log: prints a line of progress.
    """
    with contextlib.ExitStack() as stack:
        # Hundreds of segmentation faults would leave hundreds of core dumps.
        limits = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
        stack.callback(resource.setrlimit, resource.RLIMIT_CORE, limits)
        shared_memory = SharedMemoryUse()
        stack.callback(shared_memory.sweep)  # files that killed processes have left
        recorder = stack.enter_context(Recorder(directory / 'history.jsonl'))
        recorder.record('settings', **attrs.asdict(settings), poison=settings.poison)
        # Before the pipeline starts, so that no message is missed.
        external = stack.enter_context(contextlib.closing(ExternalNode(domain, recorder)))
        watch = None
        if settings.frames:
            watch = FrameWatch(state_dir_path('/airside', domain), settings.frame_memory * 1e6)
        manager = stack.enter_context(
            contextlib.closing(ManagerProcess(directory, settings.parameters(), domain))
        )
        storm = _StormRun(settings, external, manager, recorder, shared_memory, watch, log)
        stack.callback(storm.injector.close)
        stack.callback(storm.note_shared_memory)
        return storm.run()


class _StormRun:
    def __init__(
        self,
        settings: Settings,
        external: ExternalNode,
        manager: ManagerProcess,
        recorder: Recorder,
        shared_memory: SharedMemoryUse,
        watch: FrameWatch | None,
        log: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.external = external
        self.manager = manager
        self.recorder = recorder
        self.shared_memory = shared_memory
        self.watch = watch
        self.log = log
        self.injector = FaultInjector(settings.seed, SLOTS, manager.mark, recorder)
        self.feeder = Feeder(external, settings.items, settings.window, settings.rate, recorder)
        self.manager_kills = 0
        self.interruptions: list[float] = []  # s from the death of a manager to the next new output
        self.problems: list[str] = []
        # When the last manager was killed; None once its successor delivers items.
        self._killed_at: float | None = time.monotonic()
        self._highest_then = -1
        self._switched_at = 0.0
        self._manager_pid = 0

    def run(self) -> StormResult:
        """Run the storm, and return its result."""
        begin: float | None = None
        try:
            self._switch_to_manager()
            self._until(lambda: self.feeder.is_connected, f'a connected manager ({START_TIME:g} s)')
            begin = time.monotonic()
            self._inject_faults(begin)
        except StormAbortedError as trouble:
            self.problems += [str(trouble), *self._state_lines()]
        seconds = time.monotonic() - begin if begin else 0.0
        if not self.problems:
            self._stop()
        if self.watch is not None:
            self.problems += self.watch.problems(self.manager.output)
        verdict = check(
            range(self.settings.items),
            list(self.external.received),
            list(self.external.quarantined),
            {number for found in self.settings.poison.values() for number in found},
            list(self.external.strange),
        )
        return StormResult(self.settings, verdict, self.problems, self._figures(verdict, seconds))

    # -- the main loop ---------------------------------------------------------------------------

    def _inject_faults(self, begin: float) -> None:
        settings, external = self.settings, self.external
        now = time.monotonic()
        inject_at, kill_at = now + settings.kill_period, now + settings.manager_kill_period
        tell_at = now + PROGRESS_PERIOD
        highest, progress_at = external.highest, now
        while not self.feeder.done:
            time.sleep(POLL_PERIOD)
            now = time.monotonic()
            self._check_manager(now)
            self.feeder.tick()
            self._watch()
            calm = external.highest >= settings.items - 1 - min(CALM_ITEMS, settings.items // 10)
            if settings.kill_period and now >= inject_at and not calm:
                inject_at = max(inject_at + settings.kill_period, now)
                self.injector.inject(external.pids)
            if not self.feeder.is_connected or self._killed_at is not None:
                # A manager that is not active yet is not killed.
                kill_at = now + settings.manager_kill_period
            elif (
                settings.manager_kill_period
                and now >= kill_at
                and not calm
                and self.manager_kills < settings.manager_kills
            ):
                self._kill_manager(now)
            if now >= tell_at:
                tell_at += PROGRESS_PERIOD
                self.log(self._progress(now - begin))
            if external.highest != highest:
                highest, progress_at = external.highest, now
                if self._killed_at is not None and highest > self._highest_then:
                    if self.manager_kills:
                        self.interruptions.append(now - self._killed_at)
                    self._killed_at = None
            if now - progress_at > settings.stall:
                raise StormAbortedError(f'no output for {settings.stall:g} s; aborted')
            if now - begin > settings.limit:
                raise StormAbortedError(f'not finished within {settings.limit:g} s; aborted')
        self._for(LATE_MESSAGES)
        if self.watch is not None:
            self._await_no_leftovers(self.watch)

    def _await_no_leftovers(self, watch: FrameWatch) -> None:
        """Wait a while: a worker may have been killed just now, as the last one that hung."""
        deadline = time.monotonic() + LEFTOVERS_TIMEOUT
        while not watch.check_leftovers(self._pids) and time.monotonic() < deadline:
            self._for(0.1)

    @property
    def _pids(self) -> list[int]:
        """The processes of the pipeline, as far as they are known."""
        return [*self.external.pids.values(), self._manager_pid]

    def _watch(self) -> None:
        self.injector.watch()
        if self.watch is not None:
            self.watch.sample(self._pids)

    def _switch_to_manager(self) -> None:
        self._switched_at = time.monotonic()
        self._manager_pid = self.manager.next_manager_pid(self._manager_pid)
        self.feeder.switch_to(self._manager_pid)

    def _kill_manager(self, now: float) -> None:
        """Kill the manager, which its guardian replaces; every fourth time the guardian itself."""
        self.feeder.switch_to(None)
        self.note_shared_memory()
        self.manager_kills += 1
        if self.manager_kills % GUARDIAN_KILLS:
            os.kill(self._manager_pid, signal.SIGKILL)
        else:
            self.manager.signal(signal.SIGKILL)
            self.manager.wait()
            self.manager.start_again()
        self.recorder.record('manager killed', pid=self._manager_pid)
        self._killed_at, self._highest_then = now, self.external.highest
        self._switch_to_manager()
        self.recorder.record('manager started', pid=self._manager_pid)

    def note_shared_memory(self) -> None:
        """Note the shared memory that the manager has mapped: its own, and that of its peers."""
        self.shared_memory.note(self._manager_pid)

    def _check_manager(self, now: float) -> None:
        code = self.manager.process.poll()
        if code is not None:
            raise StormAbortedError(f'the manager exited by itself with code {code}')
        if not self.feeder.is_connected and now - self._switched_at > START_TIME:
            raise StormAbortedError(
                f'the new manager did not receive items within {START_TIME:g} s'
            )

    def _until(self, fact: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_TIME
        while not fact():
            self._check_manager(time.monotonic())
            if time.monotonic() > deadline:
                raise StormAbortedError(f'waited in vain for {what}')
            self.feeder.tick()
            time.sleep(POLL_PERIOD)

    def _for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._watch()
            time.sleep(POLL_PERIOD)

    def _stop(self) -> None:
        """Stop the pipeline as a user does; any process left behind is a problem."""
        self.manager.signal(signal.SIGINT)
        try:
            code = self.manager.wait(STOP_TIME)
        except AssertionError:
            self.problems.append(f'the manager did not stop within {STOP_TIME:g} s')
            self.problems += self._state_lines()
            return
        if code:
            self.problems += [f'the manager stopped with exit code {code}', *self._log_tail()]
        # The kernel reports the exits of forked processes a moment after that of the manager.
        deadline = time.monotonic() + 10.0
        while (left := self.manager.relatives()) and time.monotonic() < deadline:
            time.sleep(0.05)
        if left:
            processes = ', '.join(_described(process) for process in left)
            self.problems.append(f'left behind by the manager: {processes}')
        if self.watch is not None:
            self.watch.check_after_exit()

    # -- reports ---------------------------------------------------------------------------------

    def _progress(self, seconds: float) -> str:
        return (
            f'{seconds:4.0f} s: {self.external.highest + 1} of {self.settings.items} items done, '
            f'{self.injector.faults.total()} faults ({len(self.injector.hung)} hang), '
            f'{self.manager_kills} kills of the manager'
        )

    def _state_lines(self) -> Iterator[str]:
        """Yield lines about the state of everything, to find out why the storm got stuck."""
        highest, quarantined = self.external.highest, sorted(set(self.external.quarantined))
        now = time.monotonic()
        yield (
            f'  the highest item received is {highest}; those below {self.feeder.fed} of '
            f'{self.settings.items} were fed; quarantined are {quarantined}'
        )
        for each in self.injector.hung:
            yield (
                f'  hangs for {now - each.since:.1f} s: {each.slot} (pid {each.pid}, '
                f'{each.fault.name})'
            )
        yield '  diagnostics:'
        for name, values in self.external.values.items():
            listed = ', '.join(f'{key} {value}' for key, value in values.items())
            yield f'    {name}: {listed}'
        yield '  living processes:'
        for process in self.manager.relatives():
            yield f'    {_described(process)}'
        yield from self._log_tail()

    def _log_tail(self) -> Iterator[str]:
        yield f'  the end of {self.manager.log}:'
        for line in self.manager.output.splitlines()[-LOG_TAIL:]:
            yield f'    {line}'

    def _figures(self, verdict: Verdict, seconds: float) -> dict[str, Any]:
        delivered = len(verdict.delivered)
        return {
            'items in': self.feeder.fed,
            'delivered': delivered,
            'dropped': self.external.total('dropped'),
            'quarantined': len(verdict.quarantined),
            'poison among the items': sum(len(found) for found in self.settings.poison.values()),
            'lost': len([number for number in verdict.lost if number < self.feeder.fed]),
            'doubled': len(verdict.doubled),
            'out of order': len(verdict.out_of_order),
            'applied out of order': len(verdict.applied_out_of_order),
            'received twice outside': len(verdict.received_twice),
            'not received outside': len(verdict.not_received),
            'faults': dict(self.injector.faults),
            'workers replaced': self.external.total('restarts'),
            'manager killed': self.manager_kills,
            'first item after that, at most [s]': max(self.interruptions, default=0.0),
            'hung workers ended after, at most [s]': max(self.injector.ended_after, default=0.0),
            'redelivered': self.external.total('redelivered'),
            'rejected as duplicates': self.external.total('duplicates'),
            'seconds': seconds,
            **self._hostile_figures(),
            'items/s': delivered / seconds if seconds else 0.0,
            **(self.watch.figures(self.manager.output) if self.watch is not None else {}),
        }

    def _hostile_figures(self) -> dict[str, Any]:
        if not self.settings.hostile:
            return {}
        return {
            'quarantined by hostile stages': self.external.total('quarantined', hostile=True),
            'hostile workers replaced': self.external.total('restarts', hostile=True),
        }


def _described(process: psutil.Process) -> str:
    try:
        with process.oneshot():
            return f'pid {process.pid} ({process.status()}): {" ".join(process.cmdline())[:100]}'
    except psutil.Error:
        return f'pid {process.pid} (gone)'
