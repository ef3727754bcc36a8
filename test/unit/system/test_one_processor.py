# SPDX-License-Identifier: Apache-2.0
"""The threads of a process on one processor, and back. In a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from worker_pipeline.system.threads import available_cores

CHECK = """
import os, subprocess, sys, threading
from worker_pipeline.system.one_processor import OneProcessor

def processors():
    return [os.sched_getaffinity(int(each)) for each in os.listdir('/proc/self/task')]

stop = threading.Event()
def start():
    thread = threading.Thread(target=stop.wait, daemon=True)
    thread.start()
    return thread

subject, everything = OneProcessor(), os.sched_getaffinity(0)
own = start()
os.sched_setaffinity(own.native_id, {min(everything)})
start()
before = processors()
for _ in range(2):
    subject.gather()
    subject.gather()
    assert processors() == [{max(everything)}] * len(before), processors()
    subject.release()
    assert processors() == [{max(everything)}] * len(before), processors()
    subject.release()
    assert processors() == before
subject.gather()
start()
assert processors() == [{max(everything)}] * (len(before) + 1), processors()
subject.release()
assert processors() == [*before, everything], processors()

# A process that is started meanwhile may use what this thread might before.
child = [sys.executable, '-c', 'import os; print(sorted(os.sched_getaffinity(0)))']
for is_gathered in (True, False):
    subject.gather() if is_gathered else subject.release()
    with subject.as_before():
        output = subprocess.run(child, capture_output=True, text=True, check=True).stdout
    assert output.split() == str(sorted(everything)).split(), output
    assert os.sched_getaffinity(0) == ({max(everything)} if is_gathered else everything)

# What somebody else has set meanwhile stays.
subject.gather()
os.sched_setaffinity(own.native_id, {min(everything)})
subject.release()
assert os.sched_getaffinity(own.native_id) == {min(everything)}
assert os.sched_getaffinity(0) == everything
stop.set()
"""


@pytest.mark.skipif(available_cores() < 2, reason='needs two processors')
def test_all_threads_are_moved_and_each_gets_back_what_it_had():
    subprocess.run([sys.executable, '-c', CHECK], check=True, timeout=60)


def test_one_processor_is_enough():
    limit = 'import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n'
    check = CHECK.replace('{min(everything)}', 'everything')
    subprocess.run([sys.executable, '-c', limit + check], check=True, timeout=60)
