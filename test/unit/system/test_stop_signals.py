# SPDX-License-Identifier: Apache-2.0
"""Stop signals from the start of a process to its exit."""

from __future__ import annotations

import pytest
from support.child_processes import child

pytestmark = pytest.mark.slow  # each starts a Python process

KEEPS = """
import os, signal
from queue import SimpleQueue
from worker_pipeline.system.stop_signals import STOP_SIGNALS, StopSignals

signals, stops = StopSignals(), SimpleQueue()
for number in STOP_SIGNALS:
    os.kill(os.getpid(), number)
print('kept', flush=True)
signals.watch(lambda: stops.put('stop'))
print(stops.get(timeout=20), flush=True)
while not stops.empty():
    stops.get()
os.kill(os.getpid(), signal.SIGHUP)
print(stops.get(timeout=20), flush=True)
signals.ignore()
for number in STOP_SIGNALS:
    os.kill(os.getpid(), number)
print('ignored')
"""

RELEASES = """
import os, signal
from worker_pipeline.system.stop_signals import StopSignals

signal.signal(signal.SIGHUP, signal.SIG_IGN)
before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
descriptors = os.listdir('/proc/self/fd')
StopSignals().release()
after = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
print(after == before, os.listdir('/proc/self/fd') == descriptors)
"""


def test_signals_are_kept_then_passed_on_then_ignored():
    """None of them ends the process."""
    with child(KEEPS) as process:
        assert process.rest() == ['kept', 'stop', 'stop', 'ignored']
        assert process.wait() == 0


def test_a_forked_child_gets_the_former_handlers_back():
    """Also a signal that the parent was started to ignore, as by ``nohup``."""
    with child(RELEASES) as process:
        assert process.rest() == ['True True']
