# SPDX-License-Identifier: Apache-2.0
"""The relay stamps, limits and keeps the workers' output, though they or their manager die."""

from __future__ import annotations

import contextlib
import os
import signal

import psutil
import pytest
from support.relayed_output import output_of, running

from worker_pipeline.testing import wait_for

pytestmark = pytest.mark.slow


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_what_a_worker_prints_by_any_way_is_stamped(tmp_path):
    lines = output_of(
        """
import ctypes
def work():
    print('Python')
    print('\\udc80 and a bad surrogate')
    os.write(2, b'descriptor\\n')
    ctypes.CDLL(None).printf(b'C %d\\n', 3)
    subprocess.run(['sh', '-c', 'echo child'])
    os.write(1, b'no line end')
with relayed_output() as output:
    record, pid = fork_worker(output, work)
    os.waitpid(pid, 0)
    output.ended(record)
""",
        tmp_path,
    )
    texts = ['Python', r'\udc80 and a bad surrogate', 'descriptor', 'C 3', 'child', 'no line end']
    assert lines == [f'[s/worker_0] {text}' for text in texts]
    assert not list(tmp_path.iterdir())


def test_a_dead_workers_last_lines_are_known_at_once(tmp_path):
    lines = output_of(
        """
def work():
    print('before')
    os.kill(os.getpid(), signal.SIGSEGV)
with relayed_output() as output:
    record, pid = fork_worker(output, work)
    os.waitpid(pid, 0)
    request = output.ask_last_words(record)
    while (words := output.answer(request)) is None:  # the relay may still be starting
        time.sleep(0.01)
    assert output.ask_last_words(record) == 0
    assert output.await_answer(0) == []
print(words)
""",
        tmp_path,
    )
    assert "['before', 'Fatal Python error: Segmentation fault'" in lines[-1]
    assert 'in work' in lines[-1]


def test_a_flood_of_a_worker_is_limited_and_counted(tmp_path):
    lines = output_of(
        """
def work():
    for number in range(100_000):
        os.write(1, b'%d\\n' % number)
with relayed_output() as output:
    record, pid = fork_worker(output, work)
    os.waitpid(pid, 0)
    output.ended(record)
    while output._process.poll() is None and sum(output.dropped.values()) < 90_000:
        time.sleep(0.01)
        output._receive()
    reports = output.tick(0.0)
    dropped = output.dropped['s/worker_0']
print(dropped)
print(*reports)
""",
        tmp_path,
    )
    *shown, dropped, report = lines
    assert len(shown) + int(dropped) == 100_000
    assert report.startswith(f's/worker_0: dropped {dropped} lines of its output')


def test_a_burst_of_a_child_process_is_counted_and_soon_over(tmp_path):
    """Line by line it would take 20 s."""
    lines = output_of(
        """
def work():
    begun = time.monotonic()
    subprocess.run('yes child | head -c 60000000', shell=True)
    os.write(write, b'%f' % (time.monotonic() - begun))
read, write = os.pipe()
with relayed_output() as output:
    record, pid = fork_worker(output, work)
    os.waitpid(pid, 0)
    request = output.ask_last_words(record)
    while (words := output.answer(request)) is None:
        time.sleep(0.01)
    dropped = output.dropped['s/worker_0']
print(words)
print(dropped)
print(os.read(read, 100).decode())
""",
        tmp_path,
    )
    *shown, words, dropped, seconds = lines
    assert len(shown) + int(dropped) == 10_000_000
    assert {*shown} == {'[s/worker_0] child'}
    assert words == str(['child'] * 5)
    assert float(seconds) < 8


def test_workers_have_large_pipes_as_long_as_they_are_few(tmp_path):
    """Linux makes new pipes small for a user who has many large ones."""
    lines = output_of(
        """
import fcntl
from worker_pipeline.output import output_relay
output_relay.MAX_PIPES_SIZE = 2 * output_relay.PIPE_SIZE
def work():
    print(fcntl.fcntl(1, fcntl.F_GETPIPE_SZ))
    os.read(read, 1)
read, write = os.pipe()
with relayed_output() as output:
    workers = [fork_worker(output, work) for _ in range(3)]
    os.write(write, b'...')
    for record, pid in workers:
        os.waitpid(pid, 0)
        output.ended(record)
""",
        tmp_path,
    )
    sizes = sorted(int(line.split()[-1]) for line in lines)
    assert sizes[0] < sizes[1] == sizes[2] == 1_048_576


def test_a_worker_cannot_read_standard_input(tmp_path):
    lines = output_of(
        """
import pdb
def work():
    print(repr(os.read(0, 10)))
    for each in (input, sys.stdin.read, pdb.set_trace):
        try:
            each()
            done = each
        except OSError as error:
            print(each.__name__, error)
with relayed_output() as output:
    record, pid = fork_worker(output, work)
    os.waitpid(pid, 0)
    output.ended(record)
""",
        tmp_path,
    )
    words = [line for line in lines if 'run the stage alone' in line]
    assert len(words) == 3
    assert lines[0].endswith("b''")


def test_a_worker_prints_on_when_the_relay_was_killed(tmp_path):
    """What it prints meanwhile waits in its pipe for the next relay."""
    lines = output_of(
        """
def work():
    print('before')
    os.read(read, 1)
    print('meanwhile')
    os.read(read, 1)
    print('after')
read, write = os.pipe()
with relayed_output() as output:
    record, pid = fork_worker(output, work)
    time.sleep(0.5)
    output._process.kill()
    output._process.wait()
    os.write(write, b'.')
    time.sleep(0.2)
    output.tick(0.0)
    os.write(write, b'.')
    os.waitpid(pid, 0)
    output.ended(record)
""",
        tmp_path,
    )
    assert lines == [f'[s/worker_0] {text}' for text in ('before', 'meanwhile', 'after')]


ORPHAN = """
def work():
    os.read(read, 1)
    for number in range(20_000):
        print(number, 'x' * 100)
    print('orphan')
    Path(sys.argv[1], 'done').touch()
    os.read(read, 1)
    print('last')
with relayed_output() as output:
    output.adopt(Path(sys.argv[1]))
    record, pid = fork_worker(output, work, Path(sys.argv[1], 's.worker_0.1'))
    print(pid, output._process.pid)
    sys.stdout.flush()
    time.sleep(100)
"""


@pytest.fixture
def orphan(tmp_path):
    """Start a manager with one worker, and kill the manager.

    Yields its output, the pids of worker and relay, and a descriptor to send the worker on.
    """
    read, write = os.pipe()
    code = ORPHAN.replace('os.read(read', f'os.read({read}')
    with running(code, tmp_path, pass_fds=[read]) as process:
        worker, relay = map(int, process.stdout.readline().split())
        process.kill()
        process.wait()
        os.close(read)
        yield process.stdout, worker, relay, write
        os.close(write)
        for pid in (worker, relay):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_an_orphan_prints_as_before_and_the_relay_ends_with_it(orphan, tmp_path):
    """Its output has a reader, though its manager is dead: it does not block."""
    stdout, worker, relay, write = orphan
    os.write(write, b'.')
    wait_for((tmp_path / 'done').exists, 'the end of the flood', 30)
    os.kill(relay, signal.SIGTERM)  # which only the next manager sends
    os.write(write, b'.')
    wait_for(lambda: is_gone(worker) and is_gone(relay), 'the end of both', 30)
    assert b'[s/worker_0] 0 xxx' in stdout.read()


def test_the_next_manager_takes_the_output_over(orphan, tmp_path):
    _, worker, relay, write = orphan
    code = """
with relayed_output() as output:
    output.adopt(Path(sys.argv[1]))
    output.watch(Path(sys.argv[1], 's.worker_0.1'), 's/worker_0')
    os.write(int(sys.argv[2]), b'..')
    pidfd = os.pidfd_open(int(sys.argv[3]))
    import select
    assert select.select([pidfd], [], [], 30)[0]
    output.ended(Path(sys.argv[1], 's.worker_0.1'))
"""
    with running(code, tmp_path, write, worker, pass_fds=[write]) as process:
        found, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert found.endswith(b'[s/worker_0] last\n') or b'[s/worker_0] 0 xxx' in found
    assert is_gone(relay)
