# SPDX-License-Identifier: Apache-2.0
"""Drops are logged since the last report, by reason."""

from __future__ import annotations

import pytest
from support.fake_nodes import FakeLogger

from worker_pipeline.manager.drop_log import DropLog

QUEUE = 'dropped {} items: the queue was full (queue_size: 10)'
MEMORY = 'dropped {} items: frame memory was full (frame_memory: 256.5 MB)'


@pytest.mark.parametrize(
    ('reports', 'texts'),
    [
        ([(0, 0)], []),
        ([(3, 0)], [QUEUE.format(3)]),
        ([(3, 3)], [MEMORY.format(3)]),
        ([(5, 2)], [QUEUE.format(3), MEMORY.format(2)]),
        ([(3, 0), (3, 0)], [QUEUE.format(3)]),
        ([(3, 1), (5, 1)], [QUEUE.format(2), MEMORY.format(1), QUEUE.format(2)]),
        ([(3, 1), (5, 3)], [QUEUE.format(2), MEMORY.format(1), MEMORY.format(2)]),
    ],
)
def test_each_report_logs_what_is_new_by_reason(reports, texts):
    logger = FakeLogger()
    log = DropLog(logger, 256.5)
    for second, (dropped, for_memory) in enumerate(reports):
        log.report(dropped, for_memory, queue_size=10, now=float(second))
    assert logger.warnings == texts


def test_flushed_items_are_not_logged_as_those_of_a_full_queue():
    logger = FakeLogger()
    log = DropLog(logger, 256.5)
    log.exclude(4)
    log.report(4, 0, queue_size=10, now=0.0)
    assert logger.warnings == []
    log.report(6, 0, queue_size=10, now=1.0)
    assert logger.warnings == [QUEUE.format(2)]


def test_a_flood_is_one_line_a_second_and_every_drop_is_told():
    logger = FakeLogger()
    log = DropLog(logger, 256.5)
    for tick in range(61):
        log.report(tick + 1, 0, queue_size=10, now=tick / 20)
    assert logger.warnings == [QUEUE.format(count) for count in (1, 20, 20, 20)]
