"""The course of one storm: a real pipeline, fed from outside, struck all the time, and judged."""

from __future__ import annotations

import contextlib
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import psutil
from support.managing import ManagerProcess

from storm.feeding import Feeder
from storm.frame_watch import FrameWatch
from storm.frames import HEIGHT
from storm.history import Verdict, check
from storm.mischief import Mischief
from storm.outside import Outside
from storm.peers import CALM
from storm.recording import Recorder
from worker_pipeline.runtime.pipeline_folder import folder_of
from worker_pipeline.runtime.shared_memory import SharedMemoryUse

WORKERS = {'first': 3, 'second': 3, 'third': 1}
SLOTS = [f'{stage}/worker_{index}' for stage, count in WORKERS.items() for index in range(count)]
PACE = 0.004  # s between two looks
TELLING_PERIOD = 10.0  # s
START_TIME = 40.0  # s until a manager hears us
LAST_WORDS = 1.5  # s to hear what should not come any more
LOG_TAIL = 40  # lines


@attrs.frozen
class Settings:
    """What a storm is."""

    items: int = 20_000
    seed: int = 0
    kill_period: float = 0.2  # s between two blows against workers; 0: none
    manager_kill_period: float = 10.0  # s that a manager has at work; 0: for ever
    manager_kills: int = 1_000_000  # at most
    window: int = 900  # items fed and not yet come out, at most
    rate: float = 0.0  # items/s fed at most; 0: as fast as they come out
    journal: bool = True
    seconds: float = 0.002  # that an item takes in each of the first two stages
    startup_timeout: float = 10.0  # s
    stall: float = 45.0  # s without any item coming out, after which it is given up
    frames: bool = False  # whether camera frames travel between the stages
    frame_memory: float = 256.0  # MB
    frame_height: int = HEIGHT  # px

    @property
    def limit(self) -> float:
        """How long it may take, s."""
        each = 0.2 if self.frames else 0.03
        return 120.0 + each * self.items + (self.items / self.rate if self.rate else 0.0)

    @property
    def poison(self) -> dict[str, list[int]]:
        """By stage, which items kill whoever processes them."""
        chance = random.Random(f'poison {self.seed}')
        each = max(1, self.items // 6000)
        middle = range(self.items // 20, self.items * 9 // 10)
        chosen = chance.sample(middle, each * len(WORKERS))
        return {stage: sorted(chosen[place :: len(WORKERS)]) for place, stage in enumerate(WORKERS)}

    def parameters(self) -> dict[str, Any]:
        """The manager's parameters."""
        poison = {stage: ' '.join(map(str, found)) for stage, found in self.poison.items()}
        common = {
            'ordered': True,
            'concurrency': 2,
            'max_attempts': 5,
            'task_timeout': 0.5,
            'startup_timeout': self.startup_timeout,
        }
        module = 'storm.frame_stages' if self.frames else 'storm.stages'
        stages = {
            name: {
                'plugin': f'{module}:{name.capitalize()}',
                'workers': WORKERS[name],
                'params': {'poison': poison[name]},
                **common,
            }
            for name in WORKERS
        }
        stages['first'] |= {'queue_size': 2000}
        stages['second'] |= {'input': 'first', 'overflow': 'block'}
        stages['third'] |= {'input': 'second', 'overflow': 'block'}
        for name in ('first', 'second'):
            stages[name]['params']['seconds'] = self.seconds
        if self.frames:
            for stage in stages.values():
                stage['params']['height'] = self.frame_height
        return {
            'stages': list(WORKERS),
            'journal': self.journal,
            'heartbeat_timeout': 0.4,
            # Random kills are not a slot's fault.
            'restart_limit': 1_000_000,
            'restart_backoff_max': 0.2,
            **({'frame_memory': self.frame_memory} if self.frames else {}),
            **stages,
        }


@attrs.frozen
class Outcome:
    """What became of a storm."""

    settings: Settings
    verdict: Verdict
    problems: list[str]  # beside those of the verdict
    figures: dict[str, Any]

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return self.verdict.good and not self.problems

    def told(self) -> list[str]:
        """All that went wrong, line by line."""
        return [*self.verdict.problems(), *self.problems]


class TroubleError(Exception):
    """The storm cannot go on; the text says why."""


def run(
    settings: Settings, domain: int, directory: Path, say: Callable[[str], None] = print
) -> Outcome:
    """Have a storm go over a pipeline. The log and the history stay in the directory."""
    with contextlib.ExitStack() as stack:
        # Hundreds of segmentation faults would leave hundreds of core dumps.
        limits = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
        stack.callback(resource.setrlimit, resource.RLIMIT_CORE, limits)
        shared_memory = SharedMemoryUse()
        stack.callback(shared_memory.sweep)  # what the killed could not remove
        recorder = stack.enter_context(Recorder(directory / 'history.jsonl'))
        recorder.note('settings', **attrs.asdict(settings), poison=settings.poison)
        # Before there is a pipeline, so that nothing of it is missed.
        outside = stack.enter_context(contextlib.closing(Outside(domain, recorder)))
        watch = None
        if settings.frames:
            watch = FrameWatch(folder_of('/airside', domain), settings.frame_memory * 1e6)
        manager = stack.enter_context(
            contextlib.closing(ManagerProcess(directory, settings.parameters(), domain))
        )
        course = _Course(settings, outside, manager, recorder, shared_memory, watch, say)
        stack.callback(course.mischief.close)
        stack.callback(course.note_shared_memory)
        return course.run()


class _Course:
    def __init__(
        self,
        settings: Settings,
        outside: Outside,
        manager: ManagerProcess,
        recorder: Recorder,
        shared_memory: SharedMemoryUse,
        watch: FrameWatch | None,
        say: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.outside = outside
        self.manager = manager
        self.recorder = recorder
        self.shared_memory = shared_memory
        self.watch = watch
        self.say = say
        self.mischief = Mischief(settings.seed, SLOTS, manager.mark, recorder)
        self.feeder = Feeder(outside, settings.items, settings.window, settings.rate, recorder)
        self.manager_kills = 0
        self.interruptions: list[float] = []  # s from a manager's death to the next new item
        self.problems: list[str] = []
        # When the last manager ended; None again when the next one is at work.
        self._killed_at: float | None = time.monotonic()
        self._highest_then = -1
        self._turned_at = 0.0

    def run(self) -> Outcome:
        """From the first start to the verdict."""
        begin: float | None = None
        try:
            self._turn_to_manager()
            self._until(lambda: self.feeder.at_work, f'a manager that hears us ({START_TIME:g} s)')
            begin = time.monotonic()
            self._rage(begin)
        except TroubleError as trouble:
            self.problems += [str(trouble), *self._how_it_stood()]
        seconds = time.monotonic() - begin if begin else 0.0
        if not self.problems:
            self._stop()
        if self.watch is not None:
            self.problems += self.watch.problems(self.manager.output)
        verdict = check(
            range(self.settings.items),
            list(self.outside.heard),
            list(self.outside.quarantined),
            {number for found in self.settings.poison.values() for number in found},
            list(self.outside.strange),
        )
        return Outcome(self.settings, verdict, self.problems, self._figures(verdict, seconds))

    # -- while it lasts --------------------------------------------------------------------------

    def _rage(self, begin: float) -> None:
        settings, outside = self.settings, self.outside
        now = time.monotonic()
        strike_at, kill_at = now + settings.kill_period, now + settings.manager_kill_period
        tell_at = now + TELLING_PERIOD
        highest, progress_at = outside.highest, now
        while not self.feeder.done:
            time.sleep(PACE)
            now = time.monotonic()
            self._look_after_manager(now)
            self.feeder.tick()
            self._watch()
            calm = outside.highest >= settings.items - 1 - min(CALM, settings.items // 10)
            if settings.kill_period and now >= strike_at and not calm:
                strike_at = max(strike_at + settings.kill_period, now)
                self.mischief.strike(outside.pids)
            if not self.feeder.at_work or self._killed_at is not None:
                # One that does nothing yet has nothing to lose.
                kill_at = now + settings.manager_kill_period
            elif (
                settings.manager_kill_period
                and now >= kill_at
                and not calm
                and self.manager_kills < settings.manager_kills
            ):
                self._kill_manager(now)
            if now >= tell_at:
                tell_at += TELLING_PERIOD
                self.say(self._progress(now - begin))
            if outside.highest != highest:
                highest, progress_at = outside.highest, now
                if self._killed_at is not None and highest > self._highest_then:
                    if self.manager_kills:
                        self.interruptions.append(now - self._killed_at)
                    self._killed_at = None
            if now - progress_at > settings.stall:
                raise TroubleError(f'nothing came out for {settings.stall:g} s; given up')
            if now - begin > settings.limit:
                raise TroubleError(f'not done within {settings.limit:g} s; given up')
        self._for(LAST_WORDS)
        if self.watch is not None:
            self.watch.look_at_what_is_left()

    def _watch(self) -> None:
        self.mischief.watch()
        if self.watch is not None:
            self.watch.look([*self.outside.pids.values(), self.manager.process.pid])

    def _turn_to_manager(self) -> None:
        self._turned_at = time.monotonic()
        self.feeder.turn_to(self.manager.process.pid)

    def _kill_manager(self, now: float) -> None:
        self.feeder.turn_to(None)
        self.note_shared_memory()
        self.manager.signal(signal.SIGKILL)
        self.manager.wait(10.0)
        self.recorder.note('manager killed', pid=self.manager.process.pid)
        self.manager_kills += 1
        self._killed_at, self._highest_then = now, self.outside.highest
        self.manager.start_again()
        self.recorder.note('manager started', pid=self.manager.process.pid)
        self._turn_to_manager()

    def note_shared_memory(self) -> None:
        """Note what the manager has mapped: its own, and that of all it talks to."""
        self.shared_memory.note(self.manager.process.pid)

    def _look_after_manager(self, now: float) -> None:
        code = self.manager.process.poll()
        if code is not None:
            raise TroubleError(f'the manager ended by itself, exit code {code}')
        if not self.feeder.at_work and now - self._turned_at > START_TIME:
            raise TroubleError(f'the new manager did not hear us within {START_TIME:g} s')

    def _until(self, fact: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_TIME
        while not fact():
            self._look_after_manager(time.monotonic())
            if time.monotonic() > deadline:
                raise TroubleError(f'did not come: {what}')
            self.feeder.tick()
            time.sleep(PACE)

    def _for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._watch()
            time.sleep(PACE)

    def _stop(self) -> None:
        """End the pipeline as a user does; whatever it leaves behind is a fault."""
        self.manager.signal(signal.SIGINT)
        try:
            code = self.manager.wait(40.0)
        except AssertionError:
            self.problems += ['the manager did not stop within 40 s', *self._how_it_stood()]
            return
        if code:
            self.problems += [f'the manager stopped with exit code {code}', *self._log_tail()]
        # The end of the forked is told by the kernel a moment after the end of who watched them.
        deadline = time.monotonic() + 2.0
        while (left := self.manager.relatives()) and time.monotonic() < deadline:
            time.sleep(0.05)
        if left:
            told = ', '.join(_described(process) for process in left)
            self.problems.append(f'left behind by the manager: {told}')
        if self.watch is not None:
            self.watch.look_at_the_end()

    # -- what is told ----------------------------------------------------------------------------

    def _progress(self, seconds: float) -> str:
        return (
            f'{seconds:4.0f} s: {self.outside.highest + 1} of {self.settings.items} items through, '
            f'{self.mischief.blows.total()} blows ({len(self.mischief.hung)} hang), '
            f'{self.manager_kills} kills of the manager'
        )

    def _how_it_stood(self) -> Iterator[str]:
        """For whoever is to find out why it went no further."""
        highest = self.outside.highest
        now = time.monotonic()
        yield (
            f'  the highest item heard is {highest}; fed are those below {self.feeder.fed} of '
            f'{self.settings.items}; in quarantine are {sorted(set(self.outside.quarantined))}'
        )
        for each in self.mischief.hung:
            yield (
                f'  hangs for {now - each.since:.1f} s: {each.slot} (pid {each.pid}, '
                f'{each.kind.name})'
            )
        yield '  diagnostics:'
        for name, values in self.outside.values.items():
            told = ', '.join(f'{key} {value}' for key, value in values.items())
            yield f'    {name}: {told}'
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
            'dropped': self.outside.total('dropped'),
            'quarantined': len(verdict.quarantined),
            'poison among the items': sum(len(found) for found in self.settings.poison.values()),
            'lost': len([number for number in verdict.lost if number < self.feeder.fed]),
            'doubled': len(verdict.doubled),
            'out of order': len(verdict.out_of_order),
            'applied out of order': len(verdict.applied_out_of_order),
            'heard twice outside': len(verdict.heard_twice),
            'not heard outside': len(verdict.not_heard),
            'blows': dict(self.mischief.blows),
            'workers replaced': self.outside.total('restarts'),
            'manager killed': self.manager_kills,
            'first item after that, at most [s]': max(self.interruptions, default=0.0),
            'hung workers ended after, at most [s]': max(self.mischief.ended_after, default=0.0),
            'redelivered': self.outside.total('redelivered'),
            'refused as known already': self.outside.total('duplicates'),
            'seconds': seconds,
            'items/s': delivered / seconds if seconds else 0.0,
            **(self.watch.figures(self.manager.output) if self.watch is not None else {}),
        }


def _described(process: psutil.Process) -> str:
    try:
        with process.oneshot():
            return f'pid {process.pid} ({process.status()}): {" ".join(process.cmdline())[:100]}'
    except psutil.Error:
        return f'pid {process.pid} (gone)'
