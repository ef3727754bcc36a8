# SPDX-License-Identifier: Apache-2.0
"""What bad items cost, beside good ones, and what a flood of them does to good ones."""

from __future__ import annotations

import signal
import struct
import time
from collections.abc import Callable
from functools import partial

import psutil
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import manager_of, running_pipeline, wait_until_active
from benchmarks.processes import cpu_seconds, start_module, stop

IN_FLIGHT = 200
ITEMS = 20_000
CHUNK = 2000  # less than the publisher keeps, so that none is lost
FLOOD = 100_000
PERIOD = 0.005  # s, of good items beside a flood
QUIET = 3.0  # s, before the flood


def _stamped(seconds: int, rest: bytes = b'\x01\0\0\0\0') -> bytes:
    return b'\0\1\0\0' + struct.pack('<iI', seconds, 1) + rest


# By name: the bytes of a bad item.
BAD: dict[str, Callable[[], bytes]] = {
    'no stamp': lambda: bytes(serialize_message(Header(frame_id='bad'))),
    'a repeated stamp': lambda: _stamped(1),
    'too short': lambda: b'\0\1\0\0',
}


def _accepted(key: str) -> dict[str, list[float]]:
    """Good items, with a worker's work and the answers."""
    with (
        running_pipeline(1, echo__queue_size=2 * IN_FLIGHT) as guardian,
        Feeder() as feeder,
    ):
        wait_until_active(feeder, 1)
        feeder.feed(ITEMS // 10, IN_FLIGHT)
        process = [psutil.Process(manager_of(guardian))]
        before = cpu_seconds(process)
        feeder.feed(ITEMS, IN_FLIGHT)
        return {key: [1e6 * (cpu_seconds(process) - before) / ITEMS]}


def _refused(key: str, bad: Callable[[], bytes]) -> dict[str, list[float]]:
    """As many bad items, in chunks; a good one behind each tells that all have been read."""
    with (
        running_pipeline(1, echo__queue_size=2 * IN_FLIGHT) as guardian,
        Feeder() as feeder,
    ):
        wait_until_active(feeder, 1)
        data = bad()
        feeder.publish(_stamped(1))  # the one that is repeated
        feeder.feed(ITEMS // 10, IN_FLIGHT)
        process = [psutil.Process(manager_of(guardian))]
        before = cpu_seconds(process)
        for _ in range(ITEMS // CHUNK):
            for _ in range(CHUNK):
                feeder.publish(data)
            feeder.feed(1, 1)
        return {key: [1e6 * (cpu_seconds(process) - before) / ITEMS]}


def _beside(key: str, stamp: int) -> dict[str, list[float]]:
    """Good items at a steady rate: the share that is answered by the end of a flood, %."""
    with (
        running_pipeline(1, echo__queue_size=2 * IN_FLIGHT),
        Feeder() as feeder,
    ):
        wait_until_active(feeder, 1)
        end = time.monotonic() + QUIET
        quiet = _share(feeder, lambda: time.monotonic() < end)
        command = ['/airside/echo/input', str(FLOOD), str(stamp)]
        flooder = start_module('benchmarks.flooder', *command)
        try:
            flooded = _share(feeder, lambda: flooder.poll() is None)
        finally:
            stop([flooder], signal.SIGTERM)
        return {key: [100 * flooded / quiet]}


def _share(feeder: Feeder, goes_on: Callable[[], bool]) -> float:
    """Return the share of the items of this time that are answered at its end."""
    first, answered, due = feeder.sent, len(feeder.answered), time.monotonic()
    while goes_on():
        feeder.until(lambda due=due: time.monotonic() >= due, 'the next period')
        feeder.send()
        due = max(due + PERIOD, time.monotonic() - 0.1)
    return (len(feeder.answered) - answered) / (feeder.sent - first)


BENCHMARKS = (
    Benchmark(
        'refusing',
        (Figure('refusing', 'manager CPU for an item', 'us'),),
        (
            *(
                Contender(f'{OURS}, {name}' if index else OURS, partial(_refused, 'refusing', bad))
                for index, (name, bad) in enumerate(BAD.items())
            ),
            Contender('a good item', partial(_accepted, 'refusing')),
        ),
    ),
    Benchmark(
        'flood',
        (Figure('flood', 'good items answered beside 100,000 bad ones', '%', True),),
        (
            Contender(OURS, partial(_beside, 'flood', 0)),
            Contender(f'{OURS}, repeated stamps', partial(_beside, 'flood', 1)),
        ),
    ),
)
