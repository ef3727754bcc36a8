# SPDX-License-Identifier: Apache-2.0
"""Stages that hold what only one process may have, that grow, and that fail at some values."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from typing import Any

from std_msgs.msg import Header

from worker_pipeline import Stage

BAD_GAIN = 13.0


class _Holder(Stage):
    """Locks the file ``lock``; fails if another process has it."""

    input_type = Header
    output_type = Header
    parameters = {'gain': 1.0, 'lock': ''}

    def take(self) -> None:
        if self.params['gain'] == BAD_GAIN:
            raise ValueError(f'gain {BAD_GAIN:g} is too much')
        self.lock: Any = open(self.params['lock'], 'w')  # noqa: SIM115 - held until released
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        self.lock.close()

    def process(self, item: Header) -> Header:
        time.sleep(0.005)
        return Header(frame_id=f'{item.frame_id} {os.getpid()} {self.params["gain"]}')


class HoldsWhileConfigured(_Holder):
    """Has it from ``configure`` to ``cleanup``, and does not say so."""

    def configure(self) -> None:
        self.take()

    def cleanup(self) -> None:
        self.release()


class ProgramHolds(_Holder):
    """Starts a program that has it, and never ends that."""

    def configure(self) -> None:
        self.take()
        self.program = subprocess.Popen(['sleep', '1000'], pass_fds=[self.lock.fileno()])
        self.release()


class Exclusive(HoldsWhileConfigured):
    """Says so."""

    exclusive = True


class HoldsWhileActive(_Holder):
    """Has it from ``activate`` to ``deactivate``."""

    def activate(self) -> None:
        self.take()

    def deactivate(self) -> None:
        self.release()


class Leaks(Stage):
    """Keeps 9 MB of each item, or all that an item asks for."""

    input_type = Header
    output_type = Header
    parameters = {'seconds': 0.03}

    def configure(self) -> None:
        self.hoard: list[bytearray] = []

    def process(self, item: Header) -> Header:
        _, *more = item.frame_id.split()
        for _ in range(int(more[0]) if more else 1):
            self.hoard.append(bytearray(os.urandom(9_000)) * 1000)
            time.sleep(self.params['seconds'])
        return Header(frame_id=f'{item.frame_id} {os.getpid()}')
