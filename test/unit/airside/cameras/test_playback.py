# SPDX-License-Identifier: Apache-2.0
"""A recording in the time of the stream."""

from __future__ import annotations

import numpy as np
import pytest

from worker_pipeline import EndOfStream
from worker_pipeline.airside.cameras import FrameRequest
from worker_pipeline.airside.cameras.playback import Playback

BEGINNING = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000


class Frames:
    """Ten frames per second, numbered by their only pixel; frame 3 cannot be read."""

    rate, size, error_message = 10.0, (1, 1), ''

    def __init__(self, count=25):
        self.count = count
        self.reads = []

    def read(self, index):
        self.reads.append(index)
        if index >= self.count:
            raise EndOfStream
        return None if index == 3 else np.full((1, 1, 3), index, np.uint8)

    def close(self):
        pass


class Player:
    """Requests frames of a playback like the stage."""

    def __init__(self, frames=None, longest_wait=1.0, **how):
        self.frames = frames or Frames()
        self.waits = []
        self.playback = Playback(self.frames, longest_wait, self.waits.append, **how)
        self.last = 0

    def ask(self, milliseconds):
        """Return the number of the frame and its start (ms), or None."""
        time = milliseconds * MILLISECOND
        frame = self.playback.frame(FrameRequest(BEGINNING + time, time), self.last)
        if frame is None:
            return None
        self.last = frame.stamp
        return int(frame.pixels[0, 0, 0]), (frame.stamp - BEGINNING) // MILLISECOND


def test_a_frame_is_stamped_with_its_start():
    player = Player()
    assert [player.ask(each) for each in (0, 130, 299, 755)] == [
        (0, 0),
        (1, 100),
        (2, 200),
        (7, 700),
    ]
    assert player.waits == []


def test_no_frame_is_returned_twice():
    """A request that is too early waits for the next frame, so fast requests receive all frames."""
    player = Player()
    assert [player.ask(each) for each in (0, 60, 160)] == [(0, 0), (1, 100), (2, 200)]
    assert player.waits == pytest.approx([0.04, 0.04])


def test_every_frame_leaves_no_frame_out():
    """Also for a replacement, except unreadable ones. It does not run ahead."""
    player = Player(every_frame=True)
    assert [player.ask(each) for each in (150, 450)] == [(0, 0), (1, 100)]
    replacement = Player(every_frame=True)
    replacement.last = player.last
    assert [replacement.ask(450) for _ in range(3)] == [(2, 200), None, (4, 400)]
    assert replacement.waits == []
    assert replacement.ask(450) == (5, 500)
    assert replacement.waits == pytest.approx([0.05])


def test_the_wait_is_limited():
    player = Player(longest_wait=0.02)
    player.ask(0)
    assert player.ask(60) is None
    assert player.waits == [0.02]
    assert player.ask(81) == (1, 100)


def test_an_unreadable_frame_is_tried_once():
    player = Player()
    assert player.ask(310) is None
    assert player.ask(320) == (4, 400)
    assert player.frames.reads == [3, 4]


def test_a_replacement_continues_where_the_dead_worker_stopped():
    """With the same stamps and without repetition."""
    dead, alive = Player(), Player()
    dead.ask(1000)
    alive.last = dead.last
    assert alive.ask(1010) == (11, 1100)
    again = Player()
    assert again.ask(1000) == (10, 1000)


def test_playback_ends_after_the_last_frame():
    player = Player()
    assert player.ask(2410) == (24, 2400)
    with pytest.raises(EndOfStream):
        player.ask(2450)
    assert player.waits == pytest.approx([0.05])
