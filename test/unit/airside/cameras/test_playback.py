"""A recording in the stream's time."""

from __future__ import annotations

import numpy as np
import pytest

from worker_pipeline import EndOfStream
from worker_pipeline.airside.cameras import Asked
from worker_pipeline.airside.cameras.playback import Playback

BEGINNING = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000


class Frames:
    """Ten frames a second, numbered by their only pixel; frame 3 cannot be read."""

    rate, size, trouble = 10.0, (1, 1), ''

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
    """Asks a playback as the stage does."""

    def __init__(self, frames=None, longest_wait=1.0, **how):
        self.frames = frames or Frames()
        self.waits = []
        self.playback = Playback(self.frames, longest_wait, self.waits.append, **how)
        self.last = 0

    def ask(self, milliseconds):
        """The number of the frame and when it began (ms), or None."""
        time = milliseconds * MILLISECOND
        frame = self.playback.frame(Asked(BEGINNING + time, time), self.last)
        if frame is None:
            return None
        self.last = frame.stamp
        return int(frame.pixels[0, 0, 0]), (frame.stamp - BEGINNING) // MILLISECOND


def test_the_frame_shown_is_stamped_when_it_began():
    player = Player()
    assert [player.ask(each) for each in (0, 130, 299, 755)] == [
        (0, 0),
        (1, 100),
        (2, 200),
        (7, 700),
    ]
    assert player.waits == []


def test_no_frame_is_given_twice():
    """Asked too early for the next one, it waits; whoever asks as fast as he can has all."""
    player = Player()
    assert [player.ask(each) for each in (0, 60, 160)] == [(0, 0), (1, 100), (2, 200)]
    assert player.waits == pytest.approx([0.04, 0.04])


def test_none_is_left_out_where_that_is_asked():
    """Also by a replacement; but for what cannot be read. It does not run ahead."""
    player = Player(every_frame=True)
    assert [player.ask(each) for each in (150, 450)] == [(0, 0), (1, 100)]
    replacement = Player(every_frame=True)
    replacement.last = player.last
    assert [replacement.ask(450) for _ in range(3)] == [(2, 200), None, (4, 400)]
    assert replacement.waits == []
    assert replacement.ask(450) == (5, 500)
    assert replacement.waits == pytest.approx([0.05])


def test_it_waits_no_longer_than_it_may():
    player = Player(longest_wait=0.02)
    player.ask(0)
    assert player.ask(60) is None
    assert player.waits == [0.02]
    assert player.ask(81) == (1, 100)


def test_what_cannot_be_read_is_tried_once():
    player = Player()
    assert player.ask(310) is None
    assert player.ask(320) == (4, 400)
    assert player.frames.reads == [3, 4]


def test_a_replacement_goes_on_where_the_dead_one_was():
    """With the same stamps, and nothing twice."""
    dead, alive = Player(), Player()
    dead.ask(1000)
    alive.last = dead.last
    assert alive.ask(1010) == (11, 1100)
    again = Player()
    assert again.ask(1000) == (10, 1000)


def test_it_ends_after_the_last_frame():
    player = Player()
    assert player.ask(2410) == (24, 2400)
    with pytest.raises(EndOfStream):
        player.ask(2450)
    assert player.waits == pytest.approx([0.05])
