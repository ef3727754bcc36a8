# SPDX-License-Identifier: Apache-2.0
"""The accuracy measurement: matching of targets, and a small run of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from benchmarks.accuracy.figures import (
    FOUND,
    Errors,
    invented,
    nearest,
    nearest_alike,
    normalised,
)
from benchmarks.accuracy.flight import PLACES
from worker_pipeline.airside.messages.records import NO_LABEL, TARGET
from worker_pipeline.airside.simulation.imagery import synthetic_ground
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS

EASTWARDS = np.array([1.0, 0.0])


def targets(*labelled):
    records = np.zeros(len(labelled), TARGET)
    for record, (label, east, north) in zip(records, labelled, strict=True):
        record['label'], record['x'], record['y'] = label, east, north
    records['var_east'], records['var_north'] = 4.0, 1.0
    return records


def on_pads(east=0.0, north=0.0):
    """Return a target for each pad, off by this much."""
    return targets(*((pad.label, pad.east + east, pad.north + north) for pad in REFERENCE_PADS))


def test_without_labels_a_pad_is_matched_to_the_nearest_target():
    offsets = nearest(PLACES[:1] + EASTWARDS)
    np.testing.assert_allclose(offsets[0], [1.0, 0.0])
    np.testing.assert_allclose(offsets[1], PLACES[0] + EASTWARDS - PLACES[1])
    assert np.isinf(nearest(np.empty((0, 2)))).all()


def test_with_labels_a_nearer_target_of_another_label_is_not_matched():
    first = REFERENCE_PADS[0]
    told = targets((99, first.east, first.north), (first.label, first.east, first.north + 2.0))
    offsets = nearest_alike(told)
    np.testing.assert_allclose(offsets[0], [0.0, 2.0], atol=1e-5)
    assert np.isinf(offsets[1:]).all()


def test_each_disc_has_its_own_target():
    discs = [number for number, pad in enumerate(REFERENCE_PADS) if pad.label == NO_LABEL]
    assert len(discs) == 2
    np.testing.assert_allclose(
        nearest_alike(on_pads(north=0.5))[discs], [[0.0, 0.5]] * 2, atol=1e-5
    )


def test_the_stated_covariance_normalises_the_error():
    np.testing.assert_allclose(normalised(on_pads(east=2.0)), 0.5, rtol=1e-5)
    np.testing.assert_allclose(normalised(on_pads(north=2.0)), 2.0, rtol=1e-5)
    assert np.isnan(normalised(targets())).all()


def test_found_missed_and_false_targets_are_counted():
    offsets = np.zeros((1, 5, 2))
    offsets[0, :, 0] = [1.0, 1.5, 2.0, FOUND + 0.1, np.inf]
    errors = Errors(offsets)
    assert errors.found == 3
    np.testing.assert_allclose(errors.unshared, [0.5, 0.0, 0.5])
    assert errors.of(3).found == 0
    assert invented(np.vstack([PLACES[:2], PLACES[:1] + (FOUND + 0.1) * EASTWARDS])) == 1
    assert invented(np.empty((0, 2))) == 0


@pytest.mark.slow
def test_a_small_run_measures_every_figure():
    pytest.importorskip('sklearn')
    from benchmarks.accuracy import document as accuracy_document
    from benchmarks.accuracy.__main__ import measure
    from benchmarks.accuracy.report import FORERUNNER, OURS, TOGETHER, errors_of, rich_tables

    report = measure(
        range(1, 3), synthetic_ground(), Console(quiet=True), rendered_period=2.5, period=0.5
    )
    ours, exact = report.errors()[OURS], errors_of(report.exact)
    assert (ours.found, ours.false) == (20, 0)
    assert exact[OURS].found == 20
    assert exact[OURS].distances.max() < 0.05
    assert np.median(exact[FORERUNNER].distances) > 3 * np.median(exact[OURS].distances)
    # It has the pads of every flight and is not the truth.
    assert np.isfinite(report.errors()[TOGETHER].distances).all()
    assert report.errors()[TOGETHER].distances.min() > 1e-3
    assert 0.02 < report.noise.marker < 1.0
    assert 0.02 < report.noise.disc < 1.0
    assert report.rendered.finds > 0.8 * report.rendered.visible
    assert len(list(rich_tables(report))) == 4
    document = accuracy_document.render(report, {'date': 'today'})
    assert '2 simulated flights over 10 pads' in document
    assert 'nan' not in document
    assert '{' not in document
    for pad in REFERENCE_PADS:
        assert pad.label == NO_LABEL or f'| marker {pad.label} |' in document
