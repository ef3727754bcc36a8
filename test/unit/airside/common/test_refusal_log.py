# SPDX-License-Identifier: Apache-2.0
"""Unreadable items are logged once for each cause, and counted once a minute."""

from __future__ import annotations

import logging

import pytest

from worker_pipeline.airside.common.refusal_log import LOG_PERIOD, RefusalLog


@pytest.fixture
def log():
    return RefusalLog(logging.getLogger('refusal'))


def test_the_first_of_each_cause_is_logged_at_once(log, caplog):
    for index in range(100):
        log.record('encoding', f'one {index}', 0.1 * index)
        log.record('size', f'two {index}', 0.1 * index)
    assert [each.message for each in caplog.records] == ['one 0', 'two 0']


def test_later_ones_are_counted_once_a_minute(log, caplog):
    for index in range(301):
        log.record('encoding', 'bad', 0.5 * index)
    counts = [each.message for each in caplog.records]
    assert counts == ['bad', 'bad (120 in the last minute)', 'bad (120 in the last minute)']
    assert LOG_PERIOD == 60.0


def test_causes_without_number_share_a_line(log, caplog):
    for index in range(1000):
        log.record(f'encoding {index}', 'bad', 0.0)
    assert len(caplog.records) < 25
