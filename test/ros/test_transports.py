# SPDX-License-Identifier: Apache-2.0
"""A killed process never interrupts the messages of others.

Items are sent over channels. Contexts, heartbeats, outputs to external subscribers and mirror
topics are sent over DDS: here between the processes of a pipeline and two plain nodes with default
settings. If ``FASTDDS_DEFAULT_PROFILES_FILE`` is set, its transports are tested instead.
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
from support.echo_stages import CONTEXTS
from support.manager_process import ManagerProcess, python_path
from support.recording_listener import RecordingListener

from worker_pipeline.testing import wait_for

# The longest gap in any stream of messages, s. Those measured over hundreds of deaths with UDP are
# in docs/architecture.md. Fast DDS waits a second for a lock of a killed process.
BOUND = 1.0
# A large message is sent in fragments, some of which have to be sent again.
BOUND_OF_LARGE = 2.0
CALM = 3.0  # s
# From a death until plain nodes and the replacement have discovered each other, at most, s. On an
# idle machine it takes up to 8 s: plain nodes announce themselves every 3 s, and may miss the first
# announcement.
LATE = 60.0
TELLING = {f'first/worker_{index}' for index in range(3)} | {
    f'second/worker_{index}' for index in range(2)
}
WORKERS = TELLING | {'pace/worker_0'}
# Workers with a subscriber to their mirror topics, without which they are silent.
WATCHED = sorted(worker for worker in TELLING if worker.startswith('first'))
SHOWN = ('work', 'result')
LISTENER = 'the other listener'


def telling(plugin: str, **settings):
    return {
        'plugin': f'support.echo_stages:{plugin}',
        'max_attempts': 10,  # the deaths are not the items' fault
        'context': {'outside': '/reference', 'inside': 'pace'},
        **settings,
    }


PIPELINE = {
    'stages': ['pace', 'first', 'second'],
    'restart_backoff_max': 0.0,
    'restart_limit': 1_000_000,
    'pace': stage('Echo', input='/reference', max_attempts=10),
    # So slow that every worker is needed and publishes all the time.
    'first': telling('ContextAges', workers=3, params={'seconds': 0.05}),
    'second': telling(
        'ContextAgesInImages',
        input='first',
        workers=2,
        params={'seconds': 0.03, 'bytes': 1_000_000},
    ),
}


@contextlib.contextmanager
def plain_node(module: str, domain: int, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a node in its own process, without DDS settings of the package or of the caller."""
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
    """A second external subscriber, which is killed while it receives large messages."""

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
        """Kill it as soon as it receives a large message, and start another one."""
        wait_for(lambda: ' large ' in self._book.read_text(), 'a large message at the other one')
        self._process.kill()
        self.close()
        self._start()

    def close(self) -> None:
        self._lifetime.close()


class Scene:
    """The pipeline, its feeder and its subscribers, and the deaths so far."""

    def __init__(self, manager: ManagerProcess, book: Path, other: OtherListener) -> None:
        self._manager = manager
        self._other = other
        self.hearing = RecordingListener(book)
        self.deaths: dict[int, float] = {}
        self._chance = random.Random()
        self._turn: list[str] = []

    def alive(self) -> dict[str, int]:
        """Return the pid of each live worker, from the kernel."""
        found = {}
        for process in self._manager.relatives():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() in WORKERS:
                    found[process.name()] = process.pid
        return found

    def wait_until_all_are_connected(self, timeout: float) -> None:
        """Wait until every live worker and every stream is received, and receives its contexts."""

        def missing() -> list[str]:
            hearing, alive = self.hearing, self.alive()
            hearing.read_on()
            lacks = [f'{worker}: no process' for worker in sorted(WORKERS - alive.keys())]
            for worker, pid in sorted(alive.items()):
                if hearing.active.get(worker) != pid:
                    lacks.append(f'{worker} ({pid}): not received')
                elif worker in TELLING:
                    lacks += [
                        f'{worker} ({pid}): does not receive {context}'
                        for context in CONTEXTS
                        if hearing.hears(pid, context) is None
                    ]
            topics = {'large', *(f'{worker}/{each}' for worker in WATCHED for each in SHOWN)}
            return lacks + sorted(topics - hearing.times.keys())

        wait_for(lambda: not missing(), 'all streams', timeout, lambda: '; '.join(missing()))

    def kill_one(self) -> None:
        """Kill the next worker or the second subscriber, at a random moment."""
        time.sleep(self._chance.uniform(0.1, 0.6))  # not for synchronisation: the random moment
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
        scene.wait_until_all_are_connected(LATE)
        yield scene


@pytest.mark.timeout(400)
@pytest.mark.parametrize('kills', [14, pytest.param(300, marks=pytest.mark.storm)])
def test_killing_any_process_interrupts_no_other(scene, kills):
    """Any worker, or an external subscriber. Every replacement is connected both ways.

    What a busy machine takes is measured before, without any death.
    """
    calm_begin = time.monotonic()
    wait_for(lambda: time.monotonic() - calm_begin > CALM, 'some seconds without deaths')
    begin = time.monotonic()
    scene.hearing.read_on()
    calm = scene.hearing.silences({}, calm_begin, begin)[0].seconds
    for _ in range(kills):
        scene.kill_one()
    scene.wait_until_all_are_connected(LATE)
    end = time.monotonic()
    silences = scene.hearing.silences(scene.deaths, begin, end)
    held_up = scene.hearing.held_up()
    slow = 2 * (held_up + calm)
    report = '\n'.join(
        f'{each.seconds:.2f} s from {each.since - begin:.2f}: {each.what}' for each in silences[:20]
    )
    print(
        f'{kills} killed in {end - begin:.1f} s; the machine held up the listener {held_up:.2f} s; '
        f'without deaths the longest gap was {calm:.2f} s'
    )
    print(report)
    for silence in silences:
        bound = BOUND_OF_LARGE if silence.what == 'large' else BOUND
        assert silence.seconds < bound + slow, report
