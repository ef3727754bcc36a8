# SPDX-License-Identifier: Apache-2.0
"""The spares of a manager: real pipes, and processes that only the test knows of."""

from __future__ import annotations

import contextlib
from multiprocessing import Pipe
from types import SimpleNamespace
from typing import Any

import pytest
from support.fake_nodes import FakeClock, FakeLogger

from worker_pipeline.manager import spare_pool
from worker_pipeline.manager.spare_pool import RESTART_DELAY, SparePool
from worker_pipeline.worker.process import run_worker
from worker_pipeline.worker.spare import READY, run_spare


class Launcher:
    """Starts nothing; remembers what it was asked for."""

    def __init__(self) -> None:
        self.started: list[tuple[Any, tuple[Any, ...], str]] = []
        self.pipes: list[Any] = []  # the spares' ends
        self.error: OSError | None = None

    def pipe(self, *, duplex: bool) -> tuple[Any, Any]:
        ours, its = Pipe(duplex)
        self.pipes.append(its)
        return ours, contextlib.nullcontext(its)  # the spare's end stays open in this process

    def start(self, function: Any, arguments: tuple[Any, ...], name: str) -> SimpleNamespace:
        if self.error is not None:
            raise self.error
        self.started.append((function, arguments, name))
        return SimpleNamespace(pid=100 + len(self.started))


class Bench:
    def __init__(self, count: int) -> None:
        self.launcher, self.logger = Launcher(), FakeLogger()
        self.configs = iter(range(100))
        self.pool = SparePool(
            count,
            self.launcher,  # type: ignore[arg-type]
            '/airside',
            lambda: next(self.configs),  # type: ignore[arg-type,return-value]
            self.logger,
        )

    def tick(self, now: float = 1000.0, *, allow_start: bool = True) -> None:
        self.pool.tick(now, allow_start=allow_start)

    def fill(self, count: int) -> None:
        """Start spares, and let each become ready."""
        for index in range(count):
            self.tick()
            self.launcher.pipes[index].send(READY)
        self.tick()

    @property
    def names(self) -> list[str]:
        return [name for _, _, name in self.launcher.started]


@pytest.fixture
def make():
    made: list[Bench] = []

    def make_bench(count: int) -> Bench:
        made.append(Bench(count))
        return made[-1]

    yield make_bench
    for each in made:
        each.pool.close()
        for pipe in each.launcher.pipes:
            pipe.close()


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> FakeClock:
    found = FakeClock()
    monkeypatch.setattr(spare_pool, 'time', found)
    return found


SPEC: Any = SimpleNamespace(name='s/worker_0')


def test_spares_are_started_one_after_the_other(make):
    """Each uses a core while it starts; the next one begins when it is ready."""
    bench = make(2)
    for _ in range(3):
        bench.tick()
    assert bench.names == ['spare']
    assert bench.pool.ready == 0
    bench.launcher.pipes[0].send(READY)
    bench.tick()
    assert bench.names == ['spare', 'spare']
    assert bench.pool.ready == 1
    bench.launcher.pipes[1].send(READY)
    for _ in range(3):
        bench.tick()
    assert bench.names == ['spare', 'spare'], 'no more than asked for'
    assert bench.pool.ready == 2


def test_each_spare_has_a_set_up_of_its_own(make):
    bench = make(2)
    bench.fill(2)
    assert [(function, config) for function, (config, *_), _ in bench.launcher.started] == [
        (run_spare, 0),
        (run_spare, 1),
    ]


def test_no_spare_is_started_while_workers_are(make):
    """They need the cores first."""
    bench = make(1)
    bench.tick(allow_start=False)
    assert bench.names == []


def test_another_message_of_a_spare_does_not_make_it_ready(make):
    bench = make(1)
    bench.tick()
    bench.launcher.pipes[0].send('something else')
    bench.tick()
    assert bench.pool.ready == 0


def test_a_worker_is_started_in_the_oldest_spare_that_is_ready(make):
    """Most processes have discovered it. The others stay."""
    bench = make(3)
    bench.fill(2)
    process = bench.pool.start(SPEC)
    assert process.pid == 101
    assert bench.launcher.pipes[0].recv().name == SPEC.name
    assert bench.pool.ready == 1
    assert bench.names == ['spare'] * 3, 'the third one is starting'


def test_without_a_ready_spare_a_worker_is_forked(make):
    bench = make(1)
    bench.tick()
    process = bench.pool.start(SPEC)
    assert process.pid == 102
    assert bench.launcher.started[-1] == (run_worker, (SPEC,), 's/worker_0')


def test_a_worker_in_a_spare_that_has_just_died_is_started_all_the_same(make):
    """Its exit is reported as that of the worker."""
    bench = make(1)
    bench.fill(1)
    bench.launcher.pipes[0].close()
    assert bench.pool.start(SPEC).pid == 101
    assert bench.names == ['spare']


def test_a_used_spare_is_replaced(make):
    bench = make(1)
    bench.fill(1)
    bench.pool.start(SPEC)
    bench.tick()
    assert bench.names == ['spare', 'spare']


def test_a_spare_that_exited_is_replaced_after_a_delay(make, clock):
    """Were it always to fail, it would cost all of a core."""
    bench = make(1)
    bench.fill(1)
    bench.pool.on_exit(101, 'exited with code 1')
    assert bench.logger.warnings == ['a spare (pid 101) exited: exited with code 1']
    assert bench.pool.ready == 0
    now = clock.monotonic()
    bench.tick(now + RESTART_DELAY - 0.01)
    assert bench.names == ['spare']
    bench.tick(now + RESTART_DELAY)
    assert bench.names == ['spare', 'spare']


def test_the_exit_of_another_process_is_ignored(make):
    bench = make(1)
    bench.fill(1)
    bench.pool.on_exit(5, 'exited with code 1')
    assert bench.pool.ready == 1
    assert bench.logger.warnings == []


def test_a_spare_that_cannot_be_started_is_tried_again_later(make):
    """As where the machine has no process left; the log says so."""
    bench = make(1)
    bench.launcher.error = OSError('no more processes')
    bench.tick(1000.0)
    bench.tick(1000.0 + RESTART_DELAY / 2)
    assert len(bench.logger.errors) == 1
    assert 'no more processes' in bench.logger.errors[0]
    bench.launcher.error = None
    bench.tick(1000.0 + RESTART_DELAY)
    assert bench.names == ['spare']


def test_a_closed_pool_starts_no_more_and_its_spares_see_the_end(make):
    bench = make(2)
    bench.fill(1)
    bench.pool.close()
    assert bench.pool.ready == 0
    count = len(bench.names)
    bench.tick(2000.0)
    assert len(bench.names) == count
    with pytest.raises(EOFError):
        bench.launcher.pipes[0].recv()
