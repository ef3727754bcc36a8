# SPDX-License-Identifier: Apache-2.0
"""The relay passes the manager's own output on, and no reader, terminal or full disk blocks it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time

import psutil
import pytest
from support.relayed_output import PRELUDE, output_of, running

from worker_pipeline.testing import wait_for

pytestmark = pytest.mark.slow

# In the manager's process.
FLOOD = """
with relayed_output():
    for number in range(30_000):
        print(number, 'x' * 100)
    print('the end', file=sys.stderr)
"""

# The same, no faster than the relay reads: on a busy machine lines are lost before it otherwise.
READ_FLOOD = """
import fcntl, struct, termios

def is_read():
    waiting = fcntl.ioctl(output._pipes[0][1], termios.FIONREAD, bytes(4))
    return waiting == bytes(4)

with relayed_output() as output:
    for number in range(30_000):
        print(number, 'x' * 100)
        while number % 30 == 0 and not is_read():
            time.sleep(0.001)
    print('the end', file=sys.stderr)
"""


def test_what_is_read_is_complete_and_in_order():
    """Standard output and error are one stream here, as in a terminal; their order stays too."""
    lines = output_of("""
with relayed_output():
    for number in range(1000):
        print(number, file=(sys.stdout, sys.stderr)[number % 2])
    os.write(2, b'no line end')
""")
    assert lines == [*map(str, range(1000)), 'no line end']


def test_standard_output_and_error_stay_apart():
    with running(
        "with relayed_output(): print('out'); print('err', file=sys.stderr)",
        stderr=subprocess.PIPE,
    ) as process:
        assert process.communicate(timeout=60) == (b'out\n', b'err\n')


def test_a_pipe_that_nobody_reads_does_not_block():
    """At the end the reader is waited for a second. If it comes back, it sees what is missing."""
    with running(FLOOD) as process:
        assert process.wait(60) == 0
        lines = process.stdout.read().decode().splitlines()
    assert 100 < len(lines) < 1000  # what the pipe held


def test_a_reader_that_comes_back_sees_what_is_missing():
    with running(READ_FLOOD, stderr=subprocess.PIPE) as process:
        assert process.stderr.readline() == b'the end\n'  # so the flood did not block
        found = process.stdout.read().decode()
        assert process.wait(60) == 0
    notes = re.findall(r'\] (\d+) lines are missing here', found)
    assert notes
    assert found.count('\n') - len(notes) + sum(map(int, notes)) == 30_000


def test_a_reader_that_has_gone_does_no_harm():
    with running(FLOOD) as process:
        process.stdout.close()
        assert process.wait(60) == 0


def test_a_full_disk_does_no_harm():
    with open('/dev/full', 'w') as full, running(FLOOD, stdout=full, stderr=full) as process:
        assert process.wait(60) == 0


def test_closed_standard_streams_do_no_harm(tmp_path):
    """Their numbers are not given to other files, which would be printed into."""
    code = f"""
redirect.open_standard_streams()
with relayed_output():
    file = open({str(tmp_path / 'file')!r}, 'w')
    assert file.fileno() > 2
    print('hello'); print('hello', file=sys.stderr); os.write(1, b'hello')
"""
    command = f'exec {sys.executable} -c "$0" <&- >&- 2>&-'
    assert subprocess.run(['sh', '-c', command, PRELUDE + code], timeout=60).returncode == 0
    assert (tmp_path / 'file').read_text() == ''


TERMINAL = """
with relayed_output():
    print('colour', os.environ['RCUTILS_COLORIZED_OUTPUT'])
    sys.stdin.readline()
    for number in range(30_000):
        print(number, 'x' * 100)
    Path(sys.argv[1]).touch()
    time.sleep(2)
"""


@pytest.mark.parametrize('way', ['stopped', 'closed'])
def test_a_terminal_that_is_stopped_or_closed_does_not_block(tmp_path, way):
    """As with Ctrl-S. The ROS log is coloured as before."""
    master, slave = pty.openpty()
    read, write = os.pipe()
    done = tmp_path / 'done'
    with running(
        TERMINAL.replace('sys.stdin', f'os.fdopen({read})'),
        done,
        stdout=slave,
        stderr=slave,
        pass_fds=[read],
    ) as process:
        os.close(slave)
        assert select.select([master], [], [], 30)[0]
        assert b'colour 1' in os.read(master, 1000)
        if way == 'closed':
            os.close(master)
        else:
            os.write(master, b'\x13')
        os.write(write, b'go\n')
        wait_for(done.exists, 'the end of the flood')
        assert process.wait(60) == 0
        if way == 'stopped':
            os.close(master)
    os.close(read)
    os.close(write)


def test_a_stopped_relay_does_not_block_the_manager():
    """Lines are lost then; the second tick starts another relay."""
    lines = output_of("""
with relayed_output() as output:
    print('before')
    time.sleep(0.5)
    os.kill(output._process.pid, signal.SIGSTOP)
    for number in range(30_000):
        print(number, 'x' * 100)
    assert output.tick(0.0) == []
    (report,) = output.tick(1.0)
    assert 'started' in report
    for _ in range(20):
        print('after')
        time.sleep(0.05)
""")
    assert lines[0] == 'before'
    assert lines[-1] == 'after'


def test_a_relay_that_is_continued_a_moment_later_goes_on():
    """It was stopped together with the manager, which looks at once."""
    lines = output_of("""
with relayed_output() as output:
    pid = output._process.pid
    for _ in range(2):
        os.kill(pid, signal.SIGSTOP)
        assert output.tick(0.0) == []
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.2)
        assert output.tick(1.0) == []
    assert output._process.pid == pid
    print('after')
""")
    assert lines == ['after']


def test_nothing_of_the_relay_is_left_behind():
    lines = output_of("""
before = sorted(os.listdir('/proc/self/fd'))
with relayed_output() as output:
    pid = output._process.pid
    assert sys.stdout.fileno() == 1
assert sorted(os.listdir('/proc/self/fd')) == before
assert not Path(f'/proc/{pid}').exists()
print('direct')
""")
    assert lines == ['direct']


def test_an_idle_relay_uses_no_processor_time():
    """It waits without a timeout."""
    with running(
        'with relayed_output() as output: print(output._process.pid); time.sleep(100)'
    ) as (process):
        relay = psutil.Process(int(process.stdout.readline()))

        def is_idle() -> bool:
            before = relay.num_ctx_switches()
            time.sleep(0.5)
            return relay.num_ctx_switches() == before

        wait_for(is_idle, 'half a second without being scheduled')
