# SPDX-License-Identifier: Apache-2.0
"""The terminal is filled, read key by key, and restored."""

from __future__ import annotations

import io
import os
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from worker_pipeline.monitor.terminal import Painter, cbreak_mode

pyte = pytest.importorskip('pyte')

WIDTH, HEIGHT = 12, 4
LINES = st.text(st.sampled_from('ab 猫é'), max_size=WIDTH).map(Text)
FRAMES = st.lists(LINES, min_size=HEIGHT, max_size=HEIGHT)


@given(st.lists(st.tuples(FRAMES, st.booleans()), min_size=1, max_size=5))
def test_the_screen_shows_the_last_lines_painted(frames):
    """Although only changed lines are written."""
    emulator = pyte.Screen(WIDTH, HEIGHT)
    stream = pyte.Stream(emulator)
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=WIDTH, height=HEIGHT, _environ={})
    painter = Painter(console)
    for frame, is_resized in frames:
        for line in frame:
            line.truncate(WIDTH)
        if is_resized:
            painter.invalidate()
        painter.paint(frame, WIDTH)
        stream.feed(written.getvalue())
        written.seek(0)
        written.truncate()
        assert [line.rstrip() for line in emulator.display] == [
            line.plain.rstrip() for line in frame
        ]
    painter.paint(frames[-1][0], WIDTH)
    assert written.getvalue() == '', 'nothing has changed'


def test_the_former_screen_is_restored_after_an_error():
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=WIDTH, height=HEIGHT, _environ={})

    def fail() -> None:
        with Painter(console):
            assert written.getvalue() == '\x1b[?1049h\x1b[H\x1b[?25l'
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert written.getvalue().endswith('\x1b[?25h\x1b[?1049l')


def test_keys_are_read_one_by_one_and_the_terminal_is_restored_after_an_error():
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)

    def fail() -> None:
        with cbreak_mode(slave):
            os.write(master, b'p\x1a')
            assert os.read(slave, 10) == b'p\x1a', 'without a newline; Ctrl-Z is not a signal'
            assert termios.tcgetattr(slave) != before
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)
