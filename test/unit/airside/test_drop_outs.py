"""What is told of what drops out."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from worker_pipeline.airside.drop_outs import LOG_PERIOD, DropOuts
from worker_pipeline.status import StageStatus


@pytest.fixture
def status():
    return StageStatus()


@pytest.fixture
def drop_outs(status, caplog):
    caplog.set_level(logging.INFO)
    return DropOuts('unplaced', status, logging.getLogger('test'))


def test_each_reason_is_counted(drop_outs, status):
    drop_outs.tell(Counter(high=2, low=1), 5, '', 0.0)
    drop_outs.tell(Counter(low=3), 3, '', 1.0)
    assert status.values == {'unplaced_high': '2', 'unplaced_low': '4'}


def test_the_status_warns_of_the_newest_item(drop_outs, status):
    drop_outs.tell(Counter(low=1, high=2), 5, '', 0.0)
    assert (status.level, status.message) == ('warn', 'unplaced: 3 of 5: high 2, low 1')
    drop_outs.tell(Counter(), 5, '', 0.1)
    assert (status.level, status.message) == ('ok', '')


def test_the_log_has_a_line_now_and_then_for_each_reason(drop_outs, caplog):
    """With how many there were since the one before, and the newest detail."""
    for tenth in range(10 * int(LOG_PERIOD) + 1):
        drop_outs.tell(Counter(high=2), 2, f'at {tenth}', tenth / 10)
    drop_outs.tell(Counter(low=1), 2, '', 1.0)
    assert caplog.messages == [
        'unplaced: 2 detections: high: at 0',
        'unplaced: 100 detections: high: at 50',
        'unplaced: 1 detections: low',
    ]
