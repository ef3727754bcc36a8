# SPDX-License-Identifier: Apache-2.0
"""Every way a worker can end or fail: it is noticed, and nothing is lost by it.

Each on real processes: another process takes the slot when the first is dead, all items come out
once and in order, and the other workers of the stage continue undisturbed.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import psutil
import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from support.configuring import stage
from support.failing_stages import Book
from support.observer import header, number_of

from worker_pipeline.system.proc import start_of
from worker_pipeline.testing import wait_for

SLOTS = ('worker_0', 'worker_1')


class Death(NamedTuple):
    """A way to end, and the cause that is reported. ``by``: a signal from outside."""

    cause: str
    way: str = ''
    by: signal.Signals | None = None
    hook: str = 'process'
    plugin: str = 'FailsOnce'
    settings: dict[str, Any] = {}
    pipeline: dict[str, Any] = {}  # further keys


# Where silence is the fault.
WATCHED = {'heartbeat_timeout': 1.0}
SILENT = r'no heartbeat for \d+\.\d+ s'
LATE = {'startup_timeout': 4.0}
DEATHS = {
    'SIGKILL': Death('killed by SIGKILL', by=signal.SIGKILL),
    'SIGTERM': Death('killed by SIGTERM', by=signal.SIGTERM),
    'SIGSTOP': Death(SILENT, by=signal.SIGSTOP, pipeline=WATCHED),
    'crash in native code': Death('killed by SIGSEGV', 'crash'),
    'os._exit': Death('exit code 3', 'leave'),
    'exception with restart_on_error': Death(
        'ValueError: cannot do it', 'fail', plugin='FailsOnceAndRestarts'
    ),
    'too much memory': Death(
        r'it uses \d+ MB of memory, \d+ MB of it since the item started; memory_limit is 200 MB',
        'grow',
        settings={'memory_limit': 200.0},
    ),
    'hang with heartbeats': Death(
        r'an item took longer than 1\.5 s', 'hang', settings={'task_timeout': 1.5}
    ),
    'hang that holds the GIL': Death(SILENT, 'hold_the_gil', pipeline=WATCHED),
    'lock between items': Death(
        r'it holds \d items and started none for 1\.5 s', 'lock', settings={'task_timeout': 1.5}
    ),
}
FALSE_STARTS = {
    'exception in configure': Death('ValueError: cannot do it', 'fail', hook='configure'),
    'exception in activate': Death('ValueError: cannot do it', 'fail', hook='activate'),
    'stuck in configure': Death('not ready within 4 s', 'hang', hook='configure', settings=LATE),
    'stopped in configure': Death(
        r'stopped for \d+\.\d+ s', 'stop', hook='configure', pipeline=WATCHED
    ),
    'stuck in activate': Death(
        r'activating for \d+\.\d+ s', 'hang', hook='activate', settings=LATE
    ),
}


class Scene:
    """A stage of two mortal workers, and items for it."""

    def __init__(
        self,
        start: Any,
        observer: Any,
        folder: Path,
        *,
        plugin: str = 'FailsOnce',
        hook: str = 'process',
        way: str = '',
        pipeline: Mapping[str, Any] = MappingProxyType({}),
        **settings: Any,
    ) -> None:
        folder.mkdir()
        self.observer = observer
        self.book = Book(folder)
        self.fed = 0
        self.answers = observer.collect('mortal/output')
        mortal = {
            'plugin': f'support.failing_stages:{plugin}',
            'workers': 2,
            'queue_size': 1000,
            'params': {'folder': str(folder), 'hook': hook, 'way': way},
            **settings,
        }
        self.manager = start({'stages': ['mortal'], 'mortal': mortal, **pipeline})
        self._feed = observer.feeder('mortal/input')

    def wait_until_active(self, workers: int = 2) -> None:
        self.observer.wait_until_active('mortal', workers)

    def feed(self, count: int) -> None:
        for _ in range(count):
            self._feed.publish(header(self.fed))
            self.fed += 1

    def pids(self) -> list[int]:
        """Return the pid of the newest process in each slot."""
        return [self.book.births(slot)[-1].pid for slot in SLOTS]

    def answerers(self, first: int = 0) -> set[int]:
        """The processes that answered, from the n-th answer on."""
        return {int(each.frame_id.split()[1]) for each in self.answers[first:]}

    def feed_until_answered_by(self, pid: int) -> None:
        """Keep feeding until a process has been active."""
        first = len(self.answers)

        def answered() -> bool:
            if self.fed - len(self.answers) < 4:
                self.feed(2)
            return pid in self.answerers(first)

        wait_for(answered, f'an answer of {pid}', seen=self.manager.show)

    def check_answers(self) -> None:
        """Every item has come out once, in order."""
        wait_for(
            lambda: len(self.answers) >= self.fed, 'all answers', seen=lambda: len(self.answers)
        )
        assert [number_of(each) for each in self.answers] == list(range(self.fed))

    def check_succession(self, slot: str, victim: int) -> None:
        """Check that one new process works in the slot, started after the former had died."""
        births = wait_for(
            lambda: len(self.book.births(slot)) > 1 and self.book.births(slot),
            f'another {slot}',
            seen=self.manager.show,
        )
        self.feed_until_answered_by(births[1].pid)
        self.check_answers()
        assert births[0].pid == victim
        assert births[1].not_dead == ()
        assert [len(self.book.births(each)) for each in SLOTS] == [
            2 if each == slot else 1 for each in SLOTS
        ]
        wait_for(lambda: ' exited: ' in self.manager.output, 'the report', seen=self.manager.show)
        assert self.manager.output.count(' exited: ') == 1

    def slot_that_ended(self, cause: str) -> str:
        """Return the slot of the worker reported to have ended for a cause, while feeding items."""

        def told() -> re.Match[str] | None:
            if len(self.answers) == self.fed:
                self.feed(30)  # the others were quick enough to leave it none
            return re.search(
                rf'(worker_\d) exited: {cause}; (requeued its|it held no)', self.manager.output
            )

        match = wait_for(
            told,
            f'an end because of {cause!r}',
            seen=lambda: (self.fed, len(self.answers), self.manager.show()),
        )
        return str(match[1])


@pytest.fixture
def scene(start, observer, tmp_path):
    """Sets it, with what is particular to it."""
    return lambda **settings: Scene(start, observer, tmp_path / 'book', **settings)


def particulars(death: Death) -> dict[str, Any]:
    how = {'plugin': death.plugin, 'hook': death.hook, 'way': death.way}
    return {**how, 'pipeline': death.pipeline, **death.settings}


@pytest.mark.parametrize('death', DEATHS.values(), ids=DEATHS.keys())
def test_a_worker_lost_while_active_is_replaced_and_loses_nothing(scene, death):
    """Also if the manager has to kill it."""
    scene = scene(**particulars(death))
    scene.wait_until_active()
    before = scene.pids()
    scene.feed(6)
    if death.by is not None:
        scene.book.name_victim(before[0])
        os.kill(before[0], death.by)
    victim = wait_for(lambda: scene.book.victim, 'a victim', seen=scene.manager.show)
    scene.feed(30)
    slot = scene.slot_that_ended(death.cause)
    assert before[SLOTS.index(slot)] == victim
    scene.check_succession(slot, victim)


@pytest.mark.parametrize('death', FALSE_STARTS.values(), ids=FALSE_STARTS.keys())
def test_a_worker_that_fails_during_start_up_is_replaced(scene, death):
    """A hook raises, or never returns; the next process may succeed."""
    scene = scene(**particulars(death))
    scene.feed(30)
    slot = scene.slot_that_ended(death.cause)
    scene.wait_until_active()
    scene.check_succession(slot, scene.book.victim)


def test_an_exception_costs_an_attempt_and_not_the_worker(scene, observer):
    """The item is retried; the same processes continue."""
    scene = scene(way='fail')
    scene.wait_until_active()
    before = scene.pids()
    scene.feed(30)
    scene.check_answers()
    assert scene.book.victim in before
    scene.feed_until_answered_by(scene.book.victim)
    scene.check_answers()
    assert scene.pids() == before
    wait_for(lambda: observer.count('mortal', 'redelivered') == 1, 'the second attempt told')
    assert 'ValueError: cannot do it' in scene.manager.output
    assert ' exited: ' not in scene.manager.output


def test_a_manually_deactivated_worker_is_cordoned_until_it_is_activated(scene, observer):
    """It leaves its pool and is not replaced; the other workers take its items."""
    scene = scene()
    scene.wait_until_active()
    before = aside, other = scene.pids()
    scene.feed(200)
    assert observer.change_state('mortal/worker_0', 'deactivate')
    scene.wait_until_active(1)
    assert observer.values('mortal/worker_0')['state'] == 'inactive'
    scene.check_answers()
    first = len(scene.answers)
    scene.feed(30)
    scene.check_answers()
    assert scene.answerers(first) == {other}
    assert observer.change_state('mortal/worker_0', 'activate')
    scene.feed_until_answered_by(aside)
    scene.check_answers()
    assert scene.pids() == before
    assert ' exited: ' not in scene.manager.output


def test_a_manually_shut_down_worker_responds_and_is_replaced(scene, observer):
    """Once the finalized process has exited, another worker takes the slot."""
    scene = scene()
    scene.wait_until_active()
    victim = scene.pids()[0]
    # That this is answered shows that its answers find their way.
    assert not observer.change_state('mortal/worker_0', 'configure')
    answer = observer.ask_to_change_state('mortal/worker_0', 'shutdown')
    scene.feed(200)
    scene.check_succession(scene.slot_that_ended('exit code 0'), victim)
    wait_for(answer.done, 'the answer')
    assert answer.result().success


def test_workers_can_be_started_after_the_fork_server_was_killed(scene):
    """Live workers are not affected; the next start creates another fork server."""
    scene = scene(pipeline={'spares': 0})
    scene.wait_until_active()
    victim, other = scene.pids()
    server = psutil.Process(victim).parent()
    assert server.ppid() == scene.manager.process.pid
    server.kill()
    wait_for(lambda: start_of(server.pid) is None, 'the end of the fork server')
    for pid in (victim, other):
        scene.feed_until_answered_by(pid)
    assert ' exited: ' not in scene.manager.output
    os.kill(victim, signal.SIGKILL)
    scene.feed(30)
    scene.check_succession('worker_0', victim)
    successor = scene.pids()[0]
    assert psutil.Process(successor).parent().ppid() == scene.manager.process.pid


def test_diagnostics_report_a_death_and_the_recovery(start, observer):
    """The worker's status goes from OK to WARN and back to OK."""
    start({'stages': ['slow'], 'slow': stage('SlowConfigure', params={'seconds': 2.0})})
    observer.wait_until_active('slow', 1)
    observer.diagnostics.clear()
    os.kill(observer.pid_of('slow/worker_0'), signal.SIGKILL)
    observer.wait_for_status('slow/worker_0', DiagnosticStatus.WARN)
    replacing = KeyValue(key='state', value='replacing')
    wait_for(
        lambda: any(
            replacing in each['/airside/slow/worker_0'].values for each in observer.diagnostics
        ),
        'state replacing',
    )
    observer.wait_until_active('slow', 1)
    nodes = [f'/airside/{name}' for name in ('manager', 'slow', 'slow/worker_0')]
    wait_for(
        lambda: all(observer.diagnostics[-1][name].level == b'\x00' for name in nodes),
        'that all is well',
        seen=lambda: observer.diagnostics[-1],
    )
