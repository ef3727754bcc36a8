# SPDX-License-Identifier: Apache-2.0
"""Runs a pipeline of hostile stages beside a good one, and says which promises were broken."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
from std_msgs.msg import Header
from support.manager_process import ManagerProcess
from support.observer import Observer, header, number_of

from hostile.case import Case, Group, Promise
from worker_pipeline.system.proc import start_of
from worker_pipeline.testing import wait_for
from worker_pipeline.testing.waiting import WaitTimeoutError

ITEMS = 6
TROUBLE = 2
HANGS = 'hangs_at_import'  # the one import that has to run into its limit
GOOD = 'good'
GOOD_ITEMS = 200
OF_OTHERS = {'.ses'}  # a file that onnxruntime leaves in the folder for temporary files
STOP_MARGIN = 3.0  # s after shutdown_timeout; and as much again for a slow machine
DEFAULTS: dict[str, Any] = {
    'shutdown_timeout': 3.0,
    'heartbeat_timeout': 10.0,  # s: a busy machine must not cost a worker
    'restart_limit': 1_000,
    'restart_backoff_max': 0.5,
}


@attrs.define
class Observation:
    """What became of a stage, as seen from outside."""

    answers: list[tuple[int, str]] = attrs.field(factory=list)  # item and text, as received
    quarantined: dict[int, str] = attrs.field(factory=dict)  # cause by item
    restarts: int = 0
    messages: set[str] = attrs.field(factory=set)  # of the worker's status


@attrs.define
class Report:
    """The broken promises of a pipeline, by case; '' for those of the pipeline itself."""

    problems: dict[str, list[str]]
    output: str
    observations: dict[str, Observation]


def parameters(group: Group, folder: Path) -> dict[str, Any]:
    """Return the parameters of a group's manager."""
    stages: dict[str, Any] = {GOOD: {'plugin': 'support.stages:Echo', 'queue_size': 1000}}
    for case in group.cases:
        settings = dict(case.settings)
        (folder / case.name).mkdir(parents=True)
        own = {'folder': str(folder / case.name)} | dict(settings.pop('params', {}))
        stages[case.name] = {
            'plugin': f'hostile.{case.plugin}',
            'task_timeout': 30.0,
            'startup_timeout': 30.0,
            'params': own,
            **({'input': case.input} if case.input else {}),
            **group.stage_settings,
            **settings,
        }
        if case.reader:
            stages[f'{case.name}_read'] = {
                'plugin': f'hostile.{case.reader}',
                'input': case.name,
                'task_timeout': 30.0,
            }
    return {'stages': list(stages), **DEFAULTS, **group.settings, **stages}


class _Run:
    def __init__(self, group: Group, manager: ManagerProcess, observer: Observer) -> None:
        self.group = group
        self.manager = manager
        self.observer = observer
        outputs = {
            case.name: f'{case.name}_read' if case.reader else case.name for case in group.cases
        }
        self.received = {
            name: observer.collect(f'{stage}/output')
            for name, stage in {GOOD: GOOD, **outputs}.items()
        }

        self._messages: dict[str, set[str]] = defaultdict(set)
        self._heard = 0  # diagnostics that were read
        self._counts: tuple[int, ...] = ()

    def feed(self) -> None:
        observer = self.observer
        observer.wait_until_active(GOOD, 1)
        fed = [case.name for case in self.group.cases if not case.input]
        feeders = [observer.feeder(f'{name}/input') for name in (GOOD, *fed)]
        per_item = GOOD_ITEMS // ITEMS + 1
        for number in range(ITEMS):
            for feeder in feeders[1:]:
                message = header(number)
                feeder.publish(message)
            for good in range(number * per_item, min(GOOD_ITEMS, (number + 1) * per_item)):
                feeders[0].publish(header(good))

    def observe(self, name: str) -> Observation:
        """Return what is known about a stage now."""
        found = Observation([(number_of(each), each.frame_id) for each in self.received[name]])
        for status in list(self.observer.quarantined):
            values = {entry.key: entry.value for entry in status.values}
            if values['stage'] == name:
                stamp = Header()
                sec, _, nanosec = values['stamp'].partition('.')
                stamp.stamp.sec, stamp.stamp.nanosec = int(sec), int(nanosec)
                found.quarantined[number_of(stamp)] = status.message
        found.messages = self._messages[name]
        found.restarts = self.observer.count(f'{name}/worker_0', 'restarts')
        return found

    def is_settled(self) -> bool:
        """Return whether all that is expected has happened; looks only if there is news."""
        observer = self.observer
        answers = sum(map(len, self.received.values()))
        counts = answers, len(observer.quarantined), len(observer.diagnostics)
        if counts == self._counts:
            return False
        self._counts = counts
        for statuses in observer.diagnostics[self._heard : counts[2]]:
            for case in self.group.cases:
                worker = statuses.get(f'/airside/{case.name}/worker_0')
                if worker is not None:
                    self._messages[case.name].add(worker.message)
        self._heard = counts[2]
        return len(self.received[GOOD]) >= GOOD_ITEMS and not any(
            problems(case, self.observe(case.name), '') for case in self.group.cases
        )


def problems(case: Case, seen: Observation, output: str | None) -> list[str]:
    """Return which promises for a case were broken.

    Args:
        case: The case.
        seen: What was observed.
        output: The log; '' while the pipeline is running.
    """
    bad = {
        Promise.FAILED: {TROUBLE},
        Promise.DIED: {TROUBLE},
        Promise.ALL_FAILED: set(range(ITEMS)),
        Promise.NEVER: set(range(ITEMS)),
    }.get(case.promise, set())
    found = []
    expected = [(number, str(number)) for number in range(ITEMS) if number not in bad]
    if seen.answers != expected:
        answers = [
            number if str(number) == text else (number, text[:20]) for number, text in seen.answers
        ]
        found.append(f'answered: {answers}')
    expected_in_quarantine = set() if case.promise is Promise.NEVER else bad
    if set(seen.quarantined) != expected_in_quarantine:
        found.append(f'quarantined: {_shortened(seen.quarantined) or "none"}')
    elif not all(case.cause in cause for cause in seen.quarantined.values()):
        found.append(f'the cause is {_shortened(seen.quarantined)}')
    found += _worker_problems(case, seen)
    if output and case.log and case.log not in output:
        found.append(f'not in the log: {case.log!r}')
    return found


def _worker_problems(case: Case, seen: Observation) -> list[str]:
    if case.promise is Promise.NEVER:
        if not any(case.cause in message for message in seen.messages):
            return [f'diagnostics: {sorted(seen.messages)}']
        return []
    may_live = case.promise in (Promise.ANSWERED, Promise.FAILED, Promise.ALL_FAILED)
    if may_live and seen.restarts:
        return [f'its worker was replaced {seen.restarts} times']
    if not may_live and not seen.restarts:
        return ['its worker was not replaced']
    return []


def _shortened(causes: dict[int, str]) -> str:
    return ', '.join(f'{number}: {cause[:60]}' for number, cause in sorted(causes.items()))


def run(group: Group, domain: int, directory: Path, settle: float = 100.0) -> Report:
    """Run a pipeline of a group's stages, stop it, and return what was not as promised.

    Args:
        group: The group.
        domain: The ROS domain.
        directory: For its files.
        settle: How long to wait for what is expected, s.
    """
    temporary = Path(tempfile.mkdtemp(prefix='wp'))  # short: it holds sockets
    notes = directory / 'children'
    observer = Observer(domain)
    settings = parameters(group, notes)
    manager = ManagerProcess(directory, settings, domain, environment={'TMPDIR': str(temporary)})
    try:
        current = _Run(group, manager, observer)
        broken: dict[str, list[str]] = {'': []}
        with contextlib.suppress(WaitTimeoutError):  # what is missing is said below
            current.feed()
            wait_for(current.is_settled, 'the promises', settle)
            heard = len(observer.diagnostics)
            wait_for(lambda: len(observer.diagnostics) > heard, 'diagnostics')
        seen = {case.name: current.observe(case.name) for case in group.cases}
        broken[''] += _stop(manager, settings['shutdown_timeout'] + 2 * STOP_MARGIN)
        broken[''] += _left_behind(manager, notes, temporary)
        if observer.count(f'{GOOD}/worker_0', 'restarts'):
            broken[''].append('the good stage: its worker was replaced')
        numbers = [number_of(each) for each in current.received[GOOD]]
        if numbers != list(range(GOOD_ITEMS)):
            missing = sorted(set(range(GOOD_ITEMS)) - set(numbers))
            values = observer.values(GOOD)
            broken[''].append(f'the good stage: without {missing} of {numbers}; {values}')
        output = manager.output
        for case in group.cases:
            broken[case.name] = problems(case, seen[case.name], output)
        kept = {name: found for name, found in broken.items() if found}
        return Report(kept, output, seen)
    finally:
        observer.close()
        manager.close()
        _kill(notes)
        shutil.rmtree(temporary, ignore_errors=True)


def _stop(manager: ManagerProcess, within: float) -> list[str]:
    begun = time.monotonic()
    manager.signal(signal.SIGINT)
    try:
        code = manager.wait(within)
    except AssertionError:
        return [f'the manager did not end within {within:g} s']
    took = time.monotonic() - begun
    said = manager.output[-300:]
    return [f'exit code {code} after {took:.1f} s, last saying {said!r}'] if code else []


def _left_behind(manager: ManagerProcess, notes: Path, temporary: Path) -> list[str]:
    if manager.process.poll() is None:
        return []  # told already
    names = Counter(process.name() for process in manager.relatives())
    found = [f'left: {count} processes {name!r}' for name, count in names.items()]
    found += [
        f'left: a child of {note.parent.name}'
        for note in notes.glob('*/child.*')
        if start_of(int(note.suffix[1:])) is not None
    ]
    if manager.folder.exists():
        found.append(f'left: {sorted(path.name for path in manager.folder.iterdir())}')
    found += [
        f'left: {path.name}' for path in sorted(temporary.iterdir()) if path.name not in OF_OTHERS
    ]
    sockets = Path('/proc/net/unix').read_text()
    found += [
        f'left: a socket in {path}' for path in (manager.folder, temporary) if str(path) in sockets
    ]
    return found


def _kill(notes: Path) -> None:
    for note in notes.glob('*/child.*'):
        pid = int(note.suffix[1:])
        if start_of(pid) is not None and Path(f'/proc/{pid}/comm').read_text().strip() != 'init':
            os.kill(pid, signal.SIGKILL)


def run_refused(cases: Sequence[Case], domain: int, directory: Path) -> Report:
    """Start a manager with classes that cannot work, and return what was not as promised."""
    stages = {
        case.name: {
            'plugin': f'hostile.{case.plugin}',
            'startup_timeout': 5.0 if case.name == HANGS else 30.0,
        }
        for case in cases
    }
    manager = ManagerProcess(directory, {'stages': list(stages), **stages}, domain)
    try:
        code = manager.wait(60.0)
        lines = manager.output.splitlines()
        broken = {'': [] if code == 2 else [f'exit code {code}']}
        broken[''] += [f'left: {each}' for each in manager.relatives()]
        for case in cases:
            own = [line for line in lines if f' {case.name}.' in f' {line}' or case.plugin in line]
            if not any(case.cause in line for line in own):
                broken[case.name] = [f'{own or "nothing said"}']
        return Report({name: each for name, each in broken.items() if each}, manager.output, {})
    finally:
        manager.close()
