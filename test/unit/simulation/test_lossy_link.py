"""What becomes of messages on their way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from worker_pipeline.simulation.lossy_link import SECONDS, LinkQuality, LossyLink

PERIOD = SECONDS // 100


def travelled(quality, count=20_000, seed=1):
    """When each of so many messages that came was sent, and when it came: (N, 2), s."""
    link = LossyLink(quality, np.random.default_rng(seed))
    came = []
    for number in range(count):
        now = number * PERIOD
        came += [(int(data), now) for data in link.arrived(now)]
        link.send(str(number).encode(), now)
    return np.array([(number * PERIOD, now) for number, now in came]) / SECONDS


def test_every_message_is_late_and_none_overtakes():
    came = travelled(LinkQuality(latency=0.03, jitter=0.02, loss=0.0))
    delays = came[:, 1] - came[:, 0]
    assert (np.diff(came[:, 0]) > 0).all()
    assert delays.min() >= 0.03
    assert np.median(delays) > 0.04
    assert len(came) > 19_900


def test_some_are_lost():
    came = travelled(LinkQuality(latency=0.0, jitter=0.0, loss=0.1))
    assert len(came) == pytest.approx(18_000, rel=0.02)


def test_dropouts_lose_all_for_a_while():
    """Ten a minute, each of about half a second: a twelfth of the time."""
    came = travelled(LinkQuality(0.0, 0.0, 0.0, dropouts=10.0, dropout_time=0.5), 100_000)
    gaps = np.diff(came[:, 0])
    gaps = gaps[gaps > 0.02]
    assert len(gaps) == pytest.approx(10.0 / 60.0 * 1000 * 12 / 13, rel=0.3)
    assert gaps.mean() == pytest.approx(0.5, rel=0.3)


def test_what_is_under_way_is_known():
    link = LossyLink(LinkQuality(0.01, 0.0, 0.0), np.random.default_rng(1))
    assert link.next_arrival is None
    link.send(b'a', SECONDS)
    due = link.next_arrival
    assert due == SECONDS + SECONDS // 100
    assert link.arrived(due - 1) == []
    assert link.arrived(due) == [b'a']


def test_it_is_told_by_the_seed():
    quality = LinkQuality(0.01, 0.02, 0.1)
    first, again, other = (travelled(quality, 500, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert all(a[0] < b[0] for a, b in itertools.pairwise(first))
