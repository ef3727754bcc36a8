# SPDX-License-Identifier: Apache-2.0
"""How long no worker was active."""

from __future__ import annotations

import pytest

from worker_pipeline.core.gap import ActivityGap


def test_a_gap_lasts_from_the_last_active_worker_to_the_next():
    gap = ActivityGap()
    assert gap.update(0, 0.0, is_wanted=True) == 0.0, 'it has not begun'
    assert gap.update(1, 1.0, is_wanted=True) == 0.0
    assert gap.update(0, 2.0, is_wanted=True) == 0.0
    assert gap.update(0, 2.3, is_wanted=True) == 0.0
    assert gap.update(1, 2.5, is_wanted=True) == pytest.approx(0.5)
    assert (gap.last, gap.total, gap.ended_at) == (pytest.approx(0.5), pytest.approx(0.5), 2.5)
    assert gap.update(1, 3.0, is_wanted=True) == 0.0


def test_a_pause_is_no_gap():
    gap = ActivityGap()
    gap.update(1, 1.0, is_wanted=True)
    gap.update(0, 2.0, is_wanted=False)
    gap.update(0, 9.0, is_wanted=True)
    assert gap.update(1, 10.0, is_wanted=True) == 0.0
