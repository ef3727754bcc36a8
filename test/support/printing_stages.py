# SPDX-License-Identifier: Apache-2.0
"""A stage that prints in every way, as its items ask for."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

from std_msgs.msg import Header

from worker_pipeline import Stage


def flood(number: str) -> None:
    """Print 40 kB, in Python and past it."""
    for _ in range(20):
        print(number, 'x' * 1000)
        os.write(2, b'y' * 1000 + b'\n')


def speak(number: str) -> None:
    """Print a line in Python, and one in C."""
    print(f'Python says {number}')
    ctypes.CDLL(None).printf(f'C says {number}\n'.encode())


def crash(number: str) -> None:
    """Print and crash in native code."""
    print(f'dying of {number}')
    os.kill(os.getpid(), signal.SIGSEGV)


def ask(_: str) -> None:
    """Read standard input."""
    input()


WAYS: dict[str, Callable[[str], None]] = {
    'flood': flood,
    'speak': speak,
    'crash': crash,
    'ask': ask,
}


class Prints(Stage):
    """Prints as the words in an item's frame_id ask for, which follow its number."""

    input_type = Header
    output_type = Header

    def process(self, item: Header) -> Header:
        number, *ways = item.frame_id.split()
        for way in ways:
            WAYS[way](number)
        return item
