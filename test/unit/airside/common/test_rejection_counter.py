# SPDX-License-Identifier: Apache-2.0
"""Counting and logging of rejections."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from worker_pipeline.airside.common.rejection_counter import LOG_PERIOD, RejectionCounter
from worker_pipeline.status import StageStatus


@pytest.fixture
def status():
    return StageStatus()


@pytest.fixture
def rejections(status, caplog):
    caplog.set_level(logging.INFO)
    return RejectionCounter('unplaced', status, logging.getLogger('test'))


def test_each_reason_is_counted(rejections, status):
    rejections.record(Counter(high=2, low=1), 5, '', 0.0)
    rejections.record(Counter(low=3), 3, '', 1.0)
    assert status.values == {'unplaced_high': '2', 'unplaced_low': '4'}


def test_the_status_is_a_warning_while_the_newest_item_has_rejections(rejections, status):
    rejections.record(Counter(low=1, high=2), 5, '', 0.0)
    assert (status.level, status.message) == ('warn', 'unplaced: 3 of 5: high 2, low 1')
    rejections.record(Counter(), 5, '', 0.1)
    assert (status.level, status.message) == ('ok', '')


def test_log_lines_are_rate_limited_per_reason(rejections, caplog):
    """With the number since the line before, and the newest detail."""
    for tenth in range(10 * int(LOG_PERIOD) + 1):
        rejections.record(Counter(high=2), 2, f'at {tenth}', tenth / 10)
    rejections.record(Counter(low=1), 2, '', 1.0)
    assert caplog.messages == [
        'unplaced: 2 detections: high: at 0',
        'unplaced: 100 detections: high: at 50',
        'unplaced: 1 detections: low',
    ]
