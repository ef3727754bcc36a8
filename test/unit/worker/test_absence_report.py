# SPDX-License-Identifier: Apache-2.0
"""A worker reports that it stood still for longer than its lease."""

from __future__ import annotations

import pytest

from worker_pipeline.ros.dds import Settings
from worker_pipeline.ros.dds_profile import LEASE, LEASE_ACROSS_MACHINES, Transports
from worker_pipeline.worker import absence_report
from worker_pipeline.worker.absence_report import AbsenceReport

PERIOD = 0.2
LOCAL = Settings('fastdds.xml', Transports(loopback=True))


class Bench:
    """A worker whose clocks are the test's."""

    def __init__(self, monkeypatch, settings):
        self.now, self.suspended, self.busy = 100.0, 0.0, 0.0
        monkeypatch.setattr(absence_report, 'boottime', lambda: self.now + self.suspended)
        monkeypatch.setattr(absence_report.time, 'monotonic', lambda: self.now)
        monkeypatch.setattr(absence_report.time, 'process_time', lambda: self.busy)
        self.subject = AbsenceReport(settings, PERIOD)
        self.beat()

    def beat(self, seconds=PERIOD, times=1):
        for _ in range(times):
            self.now += seconds
            self.subject.tick()

    def stand_still(self, seconds):
        self.beat(PERIOD + seconds)
        self.beat(times=10)


@pytest.mark.parametrize(
    ('settings', 'lease'), [(LOCAL, LEASE), (None, LEASE_ACROSS_MACHINES)], ids=['local', 'own']
)
def test_it_is_reported_from_its_lease_on(monkeypatch, settings, lease):
    """The lease of the usual settings, and the longest where the user has chosen others."""
    bench = Bench(monkeypatch, settings)
    bench.stand_still(lease - 2.0)
    assert bench.subject.values() == {}
    bench.stand_still(lease + 1.0)
    assert bench.subject.values() == {'absent_s': f'{lease + 1:.1f}'}
    bench.beat(times=100)
    assert bench.subject.values() == {'absent_s': f'{lease + 1:.1f}'}


def test_a_busy_worker_was_not_absent(monkeypatch):
    """Its code held the GIL; DDS has threads of its own."""
    bench = Bench(monkeypatch, LOCAL)
    bench.busy += 9.0
    bench.stand_still(10.0)
    assert bench.subject.values() == {}
