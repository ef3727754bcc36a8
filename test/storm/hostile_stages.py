# SPDX-License-Identifier: Apache-2.0
"""Hostile stages for a storm, beside the good ones: they take what the first stage makes.

Each does on one item in two hundred what the hostile stages of ``test/hostile`` do: it dies and
leaves processes, raises what is no Exception, or stops and takes its process apart.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

from std_msgs.msg import Header
from support.observer import number_of

from worker_pipeline import Stage

PERIOD = 200  # items between two misdeeds
SECONDS = 0.005  # s that an item takes


class _Hostile(Stage):
    input_type = Header
    output_type = Header

    def process(self, item):
        time.sleep(SECONDS)
        number = number_of(item)
        if number % PERIOD == 0:
            self.misbehave(number // PERIOD)
        return Header(frame_id=item.frame_id)


class Dies(_Hostile):
    """Leaves programs behind, also in sessions of their own, and crashes."""

    def misbehave(self, turn):
        """Start a program and abort."""
        subprocess.Popen(['sleep', '300'], start_new_session=bool(turn % 2))
        os.abort()


class Raises(_Hostile):
    """Prints much, logs what cannot be formatted, and raises what is no Exception."""

    def misbehave(self, turn):
        """Print, log and raise."""
        for _ in range(1000):
            print('a line of a chatty stage')
        self.logger.warning('%d \udcff', None)
        if turn % 3 == 0:
            sys.exit('no camera')
        raise asyncio.CancelledError if turn % 3 == 1 else KeyboardInterrupt('x' * 100_000)


class TakesApart(_Hostile):
    """Changes what belongs to its process, and stops or terminates it."""

    def configure(self):
        os.environ.clear()
        os.chdir('/')
        os.umask(0o777)
        sys.path.clear()
        sys.stdout.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def misbehave(self, turn):
        """Send a signal to this process."""
        os.kill(os.getpid(), signal.SIGSTOP if turn % 2 else signal.SIGTERM)
        time.sleep(20.0)
