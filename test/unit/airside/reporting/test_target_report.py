# SPDX-License-Identifier: Apache-2.0
"""The report of each target, and its number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from targets import cloud

from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.reporting.target_report import ReportStore


def numbers(store, *, withdrawn=False):
    return [each.number for each in store.reports if each.withdrawn == withdrawn]


def test_a_target_keeps_its_number_and_first_stamp():
    store = ReportStore(1.5)
    store.update(cloud((7, 0.0, 0.0), (NO_LABEL, 9.0, 0.0), (NO_LABEL, 12.0, 0.0)), 1)
    store.update(cloud((7, 5.0, 0.0), (NO_LABEL, 12.4, 0.0), (NO_LABEL, 9.4, 0.0), count=4), 2)
    assert [(each.number, each.east) for each in store.reports] == [
        (1, 5.0),
        (2, pytest.approx(9.4)),
        (3, pytest.approx(12.4)),
    ]
    assert {(each.first_stamp, each.last_stamp) for each in store.reports} == {(1, 2)}
    assert [each.name for each in store.reports] == ['marker 7', 'unmarked 2', 'unmarked 3']


def test_a_missing_target_is_withdrawn_and_may_come_back():
    store = ReportStore(1.5)
    store.update(cloud((7, 0.0, 0.0)), 1)
    store.update(cloud((8, 0.0, 0.0)), 2)
    assert (numbers(store), numbers(store, withdrawn=True)) == ([2], [1])
    store.update(cloud((7, 0.0, 0.0), (8, 0.0, 0.0)), 3)
    assert numbers(store) == [1, 2]


def test_the_number_of_withdrawn_reports_is_bounded():
    store = ReportStore(0.1)
    for step in range(300):
        store.update(cloud((NO_LABEL, 5.0 * step, 0.0)), step)
    assert len(store.reports) == 101


def test_a_target_with_non_finite_values_is_left_out():
    store = ReportStore(1.5)
    assert store.update(cloud((7, np.nan, 0.0), (8, 0.0, 0.0)), 1) == 1
    assert [each.label for each in store.reports] == [8]


def test_records_without_the_fields_are_rejected():
    with pytest.raises(ValueError, match=r"fields: found \['x'\]; allowed: with confidence, cou"):
        ReportStore(1.5).update(np.zeros(1, [('x', 'f4')]), 1)


def test_the_ellipse_is_aligned_with_the_worst_direction():
    store = ReportStore(1.5)
    targets = cloud((7, 0.0, 0.0))
    # 2 m towards north-east, 1 m across.
    targets['var_east'] = targets['var_north'] = 2.5
    targets['cov_east_north'] = 1.5
    store.update(targets, 1)
    (report,) = store.reports
    assert report.deviation == pytest.approx(2.0)
    assert report.ellipse.major / report.ellipse.minor == pytest.approx(2.0)
    assert report.ellipse.azimuth == pytest.approx(math.pi / 4)
