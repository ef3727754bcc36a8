# SPDX-License-Identifier: Apache-2.0
"""Strangers at the socket of a running manager: items go on, and nothing is left of the callers."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.configuring import stage
from support.manager_process import python_path
from support.observer import header, number_of

from worker_pipeline.recovery.state_dir import state_dir_path
from worker_pipeline.testing import wait_for

MEMORY_ALLOWANCE = 64e6  # bytes
PROGRAMS = 2  # that call at the same time


def peak_memory(pid: int) -> int:
    """Return the most memory that a process has had since the last reset, bytes."""
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024
    raise AssertionError('no VmHWM')


def call(socket: Path, seed: int, count: int) -> subprocess.Popen[bytes]:
    """Start a program that calls ``count`` times."""
    return subprocess.Popen(
        [sys.executable, '-m', 'support.socket_fuzz', str(socket), str(seed), str(count)],
        env={'PYTHONPATH': python_path()},
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    'callers', [600, pytest.param(10_000, marks=[pytest.mark.storm, pytest.mark.timeout(600)])]
)
def test_strangers_cost_neither_answers_nor_memory(start, observer, domain, callers, capsys):
    """They call from other programs, and from a worker: it may have gone mad."""
    socket = state_dir_path('/airside', domain) / 'socket'
    calls = callers // 30
    mad = {'plugin': 'support.mad_stages:Mad', 'params': {'socket': str(socket), 'calls': calls}}
    manager = start({'stages': ['echo', 'mad'], 'echo': stage('Echo', queue_size=1000), 'mad': mad})
    answers, mad_answers = observer.collect('echo/output'), observer.collect('mad/output')
    feed, feed_mad = observer.feeder('echo/input'), observer.feeder('mad/input')
    observer.wait_until_active('echo', 1)
    observer.wait_until_active('mad', 1)
    process = psutil.Process(manager.manager_pid)
    descriptors, before = process.num_fds(), process.memory_info().rss
    Path(f'/proc/{process.pid}/clear_refs').write_text('5')  # resets the peak
    cpu, begin = process.cpu_times(), time.monotonic()
    fed, slowest = 0, 0.0
    with contextlib.ExitStack() as stack:
        strangers = [
            stack.enter_context(call(socket, seed, callers // 3)) for seed in range(PROGRAMS)
        ]
        for number in range(10):
            feed_mad.publish(header(number))
        while any(each.poll() is None for each in strangers) or len(mad_answers) < 10:
            sent = time.monotonic()
            feed.publish(header(fed))
            wait_for(lambda number=fed: len(answers) > number, f'answer {fed}', seen=manager.show)
            fed += 1
            slowest = max(slowest, time.monotonic() - sent)
    took = time.monotonic() - begin
    assert [number_of(each) for each in answers] == list(range(fed))
    assert [number_of(each) for each in mad_answers] == list(range(10))
    assert peak_memory(process.pid) - before < MEMORY_ALLOWANCE
    wait_for(
        lambda: process.num_fds() <= descriptors + 4,  # of the mad one, for two seconds
        'the end of all connections',
        seen=process.num_fds,
    )
    assert 'Traceback' not in manager.output
    assert ' exited: ' not in manager.output, 'no worker was lost'
    lines = [each for each in manager.output.splitlines() if 'socket: hung up on pid' in each]
    assert lines
    # One a second for the strangers, one for the mad one, and those that say how many more.
    assert len(lines) < 4 * (took + 3)
    used = sum(process.cpu_times()[:2]) - sum(cpu[:2])
    with capsys.disabled():
        print(
            f'\n{callers} callers in {took:.1f} s: {fed} answers, the slowest after '
            f'{1e3 * slowest:.0f} ms; peak +{(peak_memory(process.pid) - before) / 1e6:.1f} MB, '
            f'{used:.1f} s of CPU, {len(lines)} lines'
        )
