"""Every way a worker can end or fail: it is noticed, and nothing is lost by it.

Each on real processes: somebody else takes the slot when its process is dead, all items come out
once and in order, and the other workers of the stage go on as if nothing had happened.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from support.configuring import stage
from support.mortal import Book
from support.observing import header, number_of

from worker_pipeline.runtime.proc import start_of
from worker_pipeline.testing import wait_for

SLOTS = ('worker_0', 'worker_1')


class Death(NamedTuple):
    """A way to end, and the cause that is told of it. ``by``: a signal from outside."""

    cause: str
    way: str = ''
    by: signal.Signals | None = None
    hook: str = 'process'
    plugin: str = 'Mortal'
    settings: dict[str, Any] = {}


LATE = {'startup_timeout': 3.0}
DEATHS = {
    'SIGKILL': Death('killed by SIGKILL', by=signal.SIGKILL),
    'SIGTERM': Death('killed by SIGTERM', by=signal.SIGTERM),
    'SIGSTOP': Death(r'no heartbeat for 0\.\d+ s', by=signal.SIGSTOP),
    'crash in native code': Death('killed by SIGSEGV', 'crash'),
    'os._exit': Death('exit code 3', 'leave'),
    'exception with restart_on_error': Death(
        'ValueError: cannot do it', 'fail', plugin='MortalOnError'
    ),
    'too much memory': Death(
        r'uses \d+ MB of memory; memory_limit is 200 MB', 'grow', settings={'memory_limit': 200.0}
    ),
    'hang with heartbeats': Death(
        r'an item took longer than 0\.5 s', 'hang', settings={'task_timeout': 0.5}
    ),
    'hang that holds the GIL': Death(r'no heartbeat for 0\.\d+ s', 'hold_the_gil'),
    'lock between items': Death(
        r'it holds \d items and began none for 0\.5 s', 'lock', settings={'task_timeout': 0.5}
    ),
}
FALSE_STARTS = {
    'exception in configure': Death('ValueError: cannot do it', 'fail', hook='configure'),
    'exception in activate': Death('ValueError: cannot do it', 'fail', hook='activate'),
    'stuck in configure': Death('not ready within 3 s', 'hang', hook='configure', settings=LATE),
    'stopped in configure': Death(r'stopped for 0\.\d+ s', 'stop', hook='configure'),
    'stuck in activate': Death(r'activating for 3\.\d+ s', 'hang', hook='activate', settings=LATE),
}


class Scene:
    """A stage of two mortal workers, and items for it."""

    def __init__(
        self,
        start: Any,
        observer: Any,
        folder: Path,
        *,
        plugin: str = 'Mortal',
        hook: str = 'process',
        way: str = '',
        spares: int = 1,
        **settings: Any,
    ) -> None:
        folder.mkdir()
        self.observer = observer
        self.book = Book(folder)
        self.fed = 0
        self.answers = observer.collect('mortal/output')
        mortal = {
            'plugin': f'support.mortal:{plugin}',
            'workers': 2,
            'queue_size': 1000,
            'params': {'folder': str(folder), 'hook': hook, 'way': way},
            **settings,
        }
        self.manager = start(
            {
                'stages': ['mortal'],
                'heartbeat_timeout': 0.5,
                'spares': spares,
                'mortal': mortal,
            }
        )
        self._feed = observer.feeder('mortal/input')

    def wait_until_active(self, workers: int = 2) -> None:
        self.observer.wait_until_active('mortal', workers)

    def feed(self, count: int) -> None:
        for _ in range(count):
            self._feed.publish(header(self.fed))
            self.fed += 1

    def pids(self) -> list[int]:
        """Of whoever was born to each slot last."""
        return [self.book.births(slot)[-1].pid for slot in SLOTS]

    def answerers(self, first: int = 0) -> set[int]:
        """The processes that answered, from the n-th answer on."""
        return {int(each.frame_id.split()[1]) for each in self.answers[first:]}

    def feed_until_answered_by(self, pid: int) -> None:
        """Go on feeding until a process has been at work."""
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
        """Somebody else works in the slot, born when the former was dead; nobody else was born."""
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
        assert self.manager.output.count(' ended: ') == 1

    def slot_that_ended(self, cause: str) -> str:
        """The slot of the worker that is told to have ended for a cause; it is given items."""

        def told() -> re.Match[str] | None:
            if len(self.answers) == self.fed:
                self.feed(30)  # the others were quick enough to leave it none
            return re.search(rf'(worker_\d) ended: {cause}; its', self.manager.output)

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
    return {'plugin': death.plugin, 'hook': death.hook, 'way': death.way, **death.settings}


@pytest.mark.parametrize('death', DEATHS.values(), ids=DEATHS.keys())
def test_a_worker_that_is_lost_at_work_is_replaced_and_loses_nothing(scene, death):
    """Whatever it is that ends it, or for which it has to be ended."""
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
def test_a_worker_that_fails_on_its_way_to_work_is_replaced(scene, death):
    """A hook that raises, or never ends: the next process may do better."""
    scene = scene(**particulars(death))
    scene.feed(30)
    slot = scene.slot_that_ended(death.cause)
    scene.wait_until_active()
    scene.check_succession(slot, scene.book.victim)


def test_an_exception_costs_an_attempt_and_not_the_worker(scene, observer):
    """The item is tried once more; the same processes go on."""
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
    assert ' ended: ' not in scene.manager.output


def test_a_worker_deactivated_by_hand_is_cordoned_until_it_is_activated(scene, observer):
    """It is taken out of its pool, not replaced; the others do its work."""
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
    assert ' ended: ' not in scene.manager.output


def test_a_worker_shut_down_by_hand_answers_and_is_replaced(scene, observer):
    """A finalised worker is of no use: another takes its slot, when it has ended by itself."""
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
    """Those that live are not touched by it; the next start brings another fork server."""
    scene = scene(spares=0)
    scene.wait_until_active()
    victim, other = scene.pids()
    server = psutil.Process(victim).parent()
    assert server.ppid() == scene.manager.process.pid
    server.kill()
    wait_for(lambda: start_of(server.pid) is None, 'the end of the fork server')
    for pid in (victim, other):
        scene.feed_until_answered_by(pid)
    assert ' ended: ' not in scene.manager.output
    os.kill(victim, signal.SIGKILL)
    scene.feed(30)
    scene.check_succession('worker_0', victim)
    successor = scene.pids()[0]
    assert psutil.Process(successor).parent().ppid() == scene.manager.process.pid


def test_diagnostics_tell_of_a_death_and_of_the_recovery(start, observer):
    """A worker's status goes from OK to WARN and back to OK while its slot is filled anew."""
    start({'stages': ['slow'], 'slow': stage('SlowConfigure', params={'seconds': 1.5})})
    observer.wait_until_active('slow', 1)
    os.kill(observer.pid_of('slow/worker_0'), signal.SIGKILL)
    wait_for(
        lambda: observer.values('slow/worker_0').get('state') == 'replacing', 'state replacing'
    )
    assert observer.diagnostics[-1]['/airside/slow/worker_0'].level > b'\x00'
    observer.wait_until_active('slow', 1)
    nodes = [f'/airside/{name}' for name in ('manager', 'slow', 'slow/worker_0')]
    wait_for(
        lambda: all(observer.diagnostics[-1][name].level == b'\x00' for name in nodes),
        'that all is well',
        seen=lambda: observer.diagnostics[-1],
    )
