"""Whoever is killed, nobody else goes without what he is to hear.

Items go by lines. By DDS go contexts, heartbeats, outputs to listeners outside, and what shows the
work of a worker: between the processes of a pipeline and two plain nodes, with default settings.
Where ``FASTDDS_DEFAULT_PROFILES_FILE`` is set, its transports are tried instead of ours.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.configuring import stage
from support.hearing import Hearing
from support.managing import ManagerProcess, python_path
from support.telling import CONTEXTS

from worker_pipeline.testing import wait_for

# The longest that anybody may be without something, s. What hundreds of deaths have cost by UDP is
# in docs/architecture.md; where a lock dies with somebody, Fast DDS waits for it for a second.
BOUND = 1.0
# A large message comes in parts, of which some have to be asked for again.
BOUND_OF_LARGE = 2.0
# From a death until the successor is heard by plain nodes, and hears them, s: they say their names
# every 3 s, and may miss the first time.
LATE = 8.0
TELLING = {f'first/worker_{index}' for index in range(3)} | {
    f'second/worker_{index}' for index in range(2)
}
WORKERS = TELLING | {'pace/worker_0'}
# Whose topics are listened to, which carry only then what they show.
WATCHED = sorted(worker for worker in TELLING if worker.startswith('first'))
SHOWN = ('work', 'result')
LISTENER = 'the other listener'


def telling(plugin: str, **settings):
    return {
        'plugin': f'support.telling:{plugin}',
        'max_attempts': 10,  # an item is not to blame for its workers' deaths
        'context': {'outside': '/reference', 'inside': 'pace'},
        **settings,
    }


PIPELINE = {
    'stages': ['pace', 'first', 'second'],
    'restart_backoff_max': 0.0,
    'restart_limit': 1_000_000,
    'pace': stage('Echo', input='/reference', max_attempts=10),
    # So slow that every worker is needed: each tells of itself all the time.
    'first': telling('Tells', workers=3, params={'seconds': 0.05}),
    'second': telling(
        'TellsInPictures', input='first', workers=2, params={'seconds': 0.03, 'bytes': 1_000_000}
    ),
}


@contextlib.contextmanager
def plain_node(module: str, domain: int, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A node in a process of its own that has no settings of ours, nor of the one who runs this."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(('FASTDDS', 'FASTRTPS', 'RMW_FASTRTPS'))
    }
    process = subprocess.Popen(
        [sys.executable, '-m', module, *map(str, arguments)],
        env=environment | {'ROS_DOMAIN_ID': str(domain), 'PYTHONPATH': python_path()},
        close_fds=False,  # it keeps the domain
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5.0)


class OtherListener:
    """One more listener outside, that is killed while it takes in large messages."""

    def __init__(self, domain: int, book: Path) -> None:
        self._domain = domain
        self._book = book
        self._start()

    def _start(self) -> None:
        self._book.write_text('')
        self._lifetime = contextlib.ExitStack()
        self._process = self._lifetime.enter_context(
            plain_node('support.plain_listener', self._domain, self._book)
        )

    def kill(self) -> None:
        """Kill it as soon as it hears; another one takes its place at once."""
        wait_for(lambda: ' large ' in self._book.read_text(), 'a large message at the other one')
        self._process.kill()
        self.close()
        self._start()

    def close(self) -> None:
        self._lifetime.close()


class Scene:
    """The pipeline, who feeds it, who listens to it, and who has died."""

    def __init__(self, manager: ManagerProcess, book: Path, other: OtherListener) -> None:
        self._manager = manager
        self._other = other
        self.hearing = Hearing(book)
        self.deaths: dict[int, float] = {}
        self._chance = random.Random()
        self._turn: list[str] = []

    def alive(self) -> dict[str, int]:
        """By worker, its process: as the kernel knows it, whatever is heard of it."""
        found = {}
        for process in self._manager.relatives():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() in WORKERS:
                    found[process.name()] = process.pid
        return found

    def wait_until_all_are_heard_and_hear(self, timeout: float) -> None:
        """Each worker that lives now, and each of the streams."""

        def missing() -> list[str]:
            hearing, alive = self.hearing, self.alive()
            hearing.read_on()
            lacks = [f'{worker}: no process' for worker in sorted(WORKERS - alive.keys())]
            for worker, pid in sorted(alive.items()):
                if hearing.active.get(worker) != pid:
                    lacks.append(f'{worker} ({pid}): not heard of')
                elif worker in TELLING:
                    lacks += [
                        f'{worker} ({pid}): does not hear {context}'
                        for context in CONTEXTS
                        if hearing.hears(pid, context) is None
                    ]
            topics = {'large', *(f'{worker}/{each}' for worker in WATCHED for each in SHOWN)}
            return lacks + sorted(topics - hearing.times.keys())

        wait_for(
            lambda: not missing(), 'all that is to be heard', timeout, lambda: '; '.join(missing())
        )

    def kill_one(self) -> None:
        """Each in turn, and a listener outside; at a moment that is nobody's choice."""
        time.sleep(self._chance.uniform(0.1, 0.6))  # not a synchronisation: the moment
        victims = [*sorted(WORKERS), LISTENER]
        self._turn = self._turn or self._chance.sample(victims, len(victims))
        victim = self._turn.pop()
        if victim == LISTENER:
            self._other.kill()
            return
        pid = wait_for(lambda: self.alive().get(victim, 0), f'a process for {victim}')
        os.kill(pid, signal.SIGKILL)
        self.deaths[pid] = time.monotonic()


@pytest.fixture
def scene(start, domain, tmp_path) -> Iterator[Scene]:
    book = tmp_path / 'heard'
    book.touch()
    with (
        contextlib.ExitStack() as stack,
        plain_node('support.plain_listener', domain, book, *WATCHED),
        plain_node('support.plain_feeder', domain),
    ):
        other = OtherListener(domain, tmp_path / 'other')
        stack.callback(other.close)
        scene = Scene(start(PIPELINE), book, other)
        scene.wait_until_all_are_heard_and_hear(30.0)
        yield scene


@pytest.mark.timeout(400)
@pytest.mark.parametrize('kills', [21, pytest.param(300, marks=pytest.mark.storm)])
def test_whoever_is_killed_nobody_else_goes_without(scene, kills):
    """Any worker, and one who listens outside. Nor is a successor deaf or unheard."""
    begin = time.monotonic()
    for _ in range(kills):
        scene.kill_one()
    scene.wait_until_all_are_heard_and_hear(LATE)
    end = time.monotonic()
    silences = scene.hearing.silences(scene.deaths, begin, end)
    held_up = scene.hearing.held_up()
    told = '\n'.join(
        f'{each.seconds:.2f} s from {each.since - begin:.2f}: {each.what}' for each in silences[:20]
    )
    print(
        f'{kills} killed in {end - begin:.1f} s; the machine held up the listener {held_up:.2f} s'
    )
    print(told)
    for silence in silences:
        bound = BOUND_OF_LARGE if silence.what == 'large' else BOUND
        assert silence.seconds < bound + held_up, told
