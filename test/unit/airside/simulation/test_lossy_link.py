# SPDX-License-Identifier: Apache-2.0
"""Delay and loss of messages."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from worker_pipeline.airside.simulation.lossy_link import SECONDS, LinkQuality, LossyLink

PERIOD = SECONDS // 100


def travelled(quality, count=20_000, seed=1):
    """Return the times of sending and arrival of the messages that arrive: (N, 2), s."""
    link = LossyLink(quality, np.random.default_rng(seed))
    came = []
    for number in range(count):
        now = number * PERIOD
        came += [(int(data), now) for data in link.arrived(now)]
        link.send(str(number).encode(), now)
    return np.array([(number * PERIOD, now) for number, now in came]) / SECONDS


@pytest.mark.slow
def test_messages_are_delayed_but_not_reordered():
    came = travelled(LinkQuality(latency=0.03, jitter=0.02, loss=0.0))
    delays = came[:, 1] - came[:, 0]
    assert (np.diff(came[:, 0]) > 0).all()
    assert delays.min() >= 0.03
    assert np.median(delays) > 0.04
    assert len(came) > 19_900


def test_the_configured_share_is_lost():
    came = travelled(LinkQuality(latency=0.0, jitter=0.0, loss=0.1))
    assert len(came) == pytest.approx(18_000, rel=0.02)


@pytest.mark.slow
def test_dropouts_lose_all_messages_for_a_time():
    """Ten per minute of about half a second each: a twelfth of the time."""
    came = travelled(LinkQuality(0.0, 0.0, 0.0, dropouts=10.0, dropout_time=0.5), 100_000)
    gaps = np.diff(came[:, 0])
    gaps = gaps[gaps > 0.02]
    assert len(gaps) == pytest.approx(10.0 / 60.0 * 1000 * 12 / 13, rel=0.3)
    assert gaps.mean() == pytest.approx(0.5, rel=0.3)


def test_the_next_arrival_is_known():
    link = LossyLink(LinkQuality(0.01, 0.0, 0.0), np.random.default_rng(1))
    assert link.next_arrival is None
    link.send(b'a', SECONDS)
    due = link.next_arrival
    assert due == SECONDS + SECONDS // 100
    assert link.arrived(due - 1) == []
    assert link.arrived(due) == [b'a']


def test_the_link_is_determined_by_the_seed():
    quality = LinkQuality(0.01, 0.02, 0.1)
    first, again, other = (travelled(quality, 500, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert all(a[0] < b[0] for a, b in itertools.pairwise(first))
