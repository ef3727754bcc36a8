# SPDX-License-Identifier: Apache-2.0
"""Camera frames of 1920 x 1200 between processes, beside plain rclpy and plain memory."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from std_msgs.msg import Header

from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.frame_stages import PICTURES, pictures
from benchmarks.pipeline import manager_of
from benchmarks.processes import cpu_seconds, start_module, stop, temporary_folder

# Hz; the first is more than plain rclpy carries with its default transports, the second is less.
RATES = (30.0, 5.0)
LISTENED_RATE = 5.0  # Hz
FRAMES = 100
WARM_UP = 20
PERCENTILES = {50.0: 'median', 99.0: '99th percentile'}
WINDOW = 5.0  # s
BUSILY = 0.001  # s, a period that no camera stage can keep
PATIENCE = 90.0  # s for all of them
TRANSPORTS = {'plain rclpy, default transports': '', 'plain rclpy, LARGE_DATA': 'LARGE_DATA'}

# Returns the pid of the process that passes frames on, from the pipeline or nodes, or None.
Running = Callable[[float], AbstractContextManager[int | None]]


@contextlib.contextmanager
def _pipeline(period: float, camera_class: str = 'Camera') -> Iterator[int | None]:
    plugin = f'benchmarks.frame_stages:{camera_class}'
    camera = {'plugin': plugin, 'period': period or BUSILY}
    viewer = {'plugin': 'benchmarks.frame_stages:Viewer', 'input': 'camera', 'overflow': 'block'}
    parameters = {'stages': ['camera', 'viewer'], 'camera': camera, 'viewer': viewer}
    with temporary_folder() as folder:
        file = Path(folder) / 'parameters.yaml'
        file.write_text(yaml.safe_dump({'/**/manager': {'ros__parameters': parameters}}))
        manager = start_module(
            'worker_pipeline', 'manager', '--ros-args', '--params-file', str(file)
        )
        try:
            yield manager.pid
        finally:
            stop([manager], signal.SIGINT)


@contextlib.contextmanager
def _plain(period: float, transports: str = '') -> Iterator[int | None]:
    environment = _choice_of(transports)
    viewer = start_module('benchmarks.plain_viewer', environment=environment)
    camera = start_module('benchmarks.plain_camera', str(period), environment=environment)
    try:
        yield None
    finally:
        stop([camera, viewer], signal.SIGTERM)


@contextlib.contextmanager
def _listened(running: Running, transports: str, period: float) -> Iterator[int | None]:
    """With another process that receives every frame of the camera."""
    with running(period) as manager:
        listener = start_module('benchmarks.plain_listener', environment=_choice_of(transports))
        try:
            yield manager
        finally:
            stop([listener], signal.SIGTERM)


def _choice_of(transports: str) -> dict[str, str]:
    """Return the environment for these transports; '': the default."""
    return {'FASTDDS_BUILTIN_TRANSPORTS': transports} if transports else {}


class _Answers(Feeder):
    """Collects the times of frames, ms."""

    def __init__(self) -> None:
        super().__init__(first='nobody', last='nobody')
        self.taken: list[float] = []
        self.node.create_subscription(Header, 'viewer/output', self._take, 1000)

    def _take(self, message: Header) -> None:
        self.taken.append(float(message.frame_id))

    def until_there_are(self, count: int) -> None:
        self.until(lambda: len(self.taken) >= count, f'{count} frames', PATIENCE)


def _hop(key: str, rate: float, running: Running) -> dict[str, list[float]]:
    with running(1.0 / rate), _Answers() as answers:
        answers.until_there_are(WARM_UP)
        answers.until_there_are(WARM_UP + FRAMES)
        return _samples(key, answers.taken[WARM_UP:])


def _both_hops(key: str, rate: float) -> dict[str, list[float]]:
    borrowing = partial(_pipeline, camera_class='BorrowingCamera')
    return _hop(key, rate, _pipeline) | _hop(f'{key}_borrowed', rate, borrowing)


def _copy(key: str, rate: float) -> dict[str, list[float]]:
    """One memcpy of a frame, in one process, at the same rate."""
    taken = []
    shots = pictures()
    places = itertools.cycle([np.zeros_like(next(shots)) for _ in range(PICTURES)])
    for _ in range(WARM_UP + FRAMES):
        time.sleep(1.0 / rate)
        source, place = next(shots), next(places)
        begin = time.perf_counter()
        np.copyto(place, source)
        taken.append(1e3 * (time.perf_counter() - begin))
    return _samples(key, taken[WARM_UP:]) | _samples(f'{key}_borrowed', taken[WARM_UP:])


def _samples(key: str, taken: list[float]) -> dict[str, list[float]]:
    return {f'{key}_p{share:g}': taken for share in PERCENTILES}


def _throughput(running: Running) -> dict[str, list[float]]:
    with running(0.0) as manager, _Answers() as answers:
        answers.until_there_are(WARM_UP)
        processes = [psutil.Process(manager_of(manager))] if manager else []
        begin, first, before = time.monotonic(), len(answers.taken), cpu_seconds(processes)
        answers.rest(WINDOW)
        frames = len(answers.taken) - first
        samples = {'frame_rate': [frames / (time.monotonic() - begin)]}
        if manager:
            used = cpu_seconds(processes) - before
            samples['frame_manager_cpu'] = [1e3 * used / frames]
        return samples


def _peers(measure: Callable[[Running, str], Any]) -> tuple[Contender, ...]:
    """Return the peers. ``measure``: from running nodes and their transports to samples."""
    return tuple(
        Contender(name, partial(measure, partial(_plain, transports=transports), transports))
        for name, transports in TRANSPORTS.items()
    )


def _figures(key: str, title: str) -> tuple[Figure, ...]:
    return tuple(
        Figure(f'{key}_p{share:g}', f'{title}, {told}', 'ms', percentile=share)
        for share, told in PERCENTILES.items()
    )


def _hop_benchmark(rate: float) -> Benchmark:
    key = f'frame_hop_{rate:g}'
    title = f'a 1920 x 1200 frame from worker to worker at {rate:g} Hz'
    borrowed = f'{title}, captured into borrowed memory'
    return Benchmark(
        key,
        (*_figures(key, title), *_figures(f'{key}_borrowed', borrowed)),
        (
            Contender(OURS, partial(_both_hops, key, rate)),
            *_peers(lambda running, _: _hop(key, rate, running)),
            Contender('one memcpy of it', partial(_copy, key, rate)),
        ),
    )


def _listened_benchmark(rate: float) -> Benchmark:
    key = 'frame_hop_listened'
    title = f'a 1920 x 1200 frame from worker to worker at {rate:g} Hz, with a listener'

    def measure(running: Running, transports: str) -> dict[str, list[float]]:
        return _hop(key, rate, partial(_listened, running, transports))

    return Benchmark(
        key,
        _figures(key, title),
        (Contender(OURS, partial(measure, _pipeline, '')), *_peers(measure)),
    )


BENCHMARKS = (
    *(_hop_benchmark(rate) for rate in RATES),
    _listened_benchmark(LISTENED_RATE),
    Benchmark(
        'frame_rate',
        (
            Figure('frame_rate', '1920 x 1200 frames through two stages', 'frames/s', True),
            Figure('frame_manager_cpu', 'manager CPU for a frame', 'ms'),
        ),
        (
            Contender(OURS, partial(_throughput, _pipeline)),
            *_peers(lambda running, _: _throughput(running)),
        ),
    ),
)
