"""What is told of each target, and by which number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from targets import cloud

from worker_pipeline.airside.records import NO_LABEL
from worker_pipeline.airside.reporting.target_report import ReportBook


def numbers(book, *, withdrawn=False):
    return [each.number for each in book.reports if each.withdrawn == withdrawn]


def test_a_target_keeps_its_number_and_the_stamp_it_was_first_seen_at():
    book = ReportBook(1.5)
    book.update(cloud((7, 0.0, 0.0), (NO_LABEL, 9.0, 0.0), (NO_LABEL, 12.0, 0.0)), 1)
    book.update(cloud((7, 5.0, 0.0), (NO_LABEL, 12.4, 0.0), (NO_LABEL, 9.4, 0.0), count=4), 2)
    assert [(each.number, each.east) for each in book.reports] == [
        (1, 5.0),
        (2, pytest.approx(9.4)),
        (3, pytest.approx(12.4)),
    ]
    assert {(each.first_stamp, each.last_stamp) for each in book.reports} == {(1, 2)}
    assert [each.name for each in book.reports] == ['marker 7', 'unmarked 2', 'unmarked 3']


def test_what_is_told_no_more_is_withdrawn_and_may_come_back():
    book = ReportBook(1.5)
    book.update(cloud((7, 0.0, 0.0)), 1)
    book.update(cloud((8, 0.0, 0.0)), 2)
    assert (numbers(book), numbers(book, withdrawn=True)) == ([2], [1])
    book.update(cloud((7, 0.0, 0.0), (8, 0.0, 0.0)), 3)
    assert numbers(book) == [1, 2]


def test_what_was_withdrawn_is_kept_in_bounded_number():
    book = ReportBook(0.1)
    for step in range(300):
        book.update(cloud((NO_LABEL, 5.0 * step, 0.0)), step)
    assert len(book.reports) == 101


def test_a_target_that_is_no_number_is_left_out():
    book = ReportBook(1.5)
    assert book.update(cloud((7, np.nan, 0.0), (8, 0.0, 0.0)), 1) == 1
    assert [each.label for each in book.reports] == [8]


def test_what_is_no_target_is_refused_by_name():
    with pytest.raises(ValueError, match=r"fields: found \['x'\]; allowed: with confidence, cou"):
        ReportBook(1.5).update(np.zeros(1, [('x', 'f4')]), 1)


def test_the_ellipse_lies_along_the_worst_direction():
    book = ReportBook(1.5)
    targets = cloud((7, 0.0, 0.0))
    # 2 m along the north-east, 1 m across.
    targets['var_east'] = targets['var_north'] = 2.5
    targets['cov_east_north'] = 1.5
    book.update(targets, 1)
    (report,) = book.reports
    assert report.deviation == pytest.approx(2.0)
    assert report.ellipse.major / report.ellipse.minor == pytest.approx(2.0)
    assert report.ellipse.azimuth == pytest.approx(math.pi / 4)
