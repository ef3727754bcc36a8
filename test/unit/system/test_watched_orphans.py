# SPDX-License-Identifier: Apache-2.0
"""What workers leave behind whose fork server has died."""

from __future__ import annotations

import os

from worker_pipeline.system import watched_orphans
from worker_pipeline.system.process_table import Process
from worker_pipeline.system.watched_orphans import WatchedOrphans

WORKER = 10**7  # more than Linux gives to any process
DAEMON = Process(WORKER + 1, parent=1, session=WORKER + 1, start=7, name='python')


def test_a_process_that_is_exiting_is_still_known_by_what_it_was(monkeypatch):
    """It has no environment and no memory any more, by which it was found, but still its ports."""
    orphans = WatchedOrphans()
    orphans.add(WORKER, 5)
    assert list(orphans.exited()) == [(WORKER, None)]
    monkeypatch.setattr(watched_orphans, 'is_marked', lambda _pid, _mark: True)
    found = {DAEMON.pid: [DAEMON]}
    assert orphans.families_of(WORKER, [DAEMON], [os.getpid()]) == found
    monkeypatch.setattr(watched_orphans, 'is_marked', lambda _pid, _mark: False)
    assert orphans.families_of(WORKER, [DAEMON], [os.getpid()]) == found
    another = DAEMON._replace(start=9)
    assert orphans.families_of(WORKER, [another], [os.getpid()]) == {}
