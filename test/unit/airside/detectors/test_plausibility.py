# SPDX-License-Identifier: Apache-2.0
"""Outputs that cannot be what their layout says."""

from __future__ import annotations

import numpy as np
import pytest

from worker_pipeline.airside.detectors.candidates import Candidates
from worker_pipeline.airside.detectors.plausibility import ImplausibleOutputError, check_plausible

SIZE = (128, 96)
BOX = [30.0, 40.0, 60.0, 50.0]


def found(*rows):
    """Return candidates from rows: box, confidence, class."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Candidates(table[:, :4], table[:, 4], table[:, 5], np.empty((len(table), 0)))


@pytest.mark.parametrize(
    'rows',
    [
        [],
        [[*BOX, 1.0, 1]],
        [[*BOX, 1.01, 1], [*BOX, 0.0, 0]],  # half precision rounds
        [[*BOX, np.nan, 0], [0, 0, 0, 0, 0.0, 0]],
        [[0, 0, 1, 1, 0.9, 0]],  # one small object in the corner
        [[*BOX, 0.9, 0], [*BOX, 0.8, 0], [-5000, 0, 9000, 50, 0.7, 0]],
    ],
    ids=['none', 'sure', 'rounded', 'not finite', 'in the corner', 'one wild box'],
)
def test_what_a_model_gives_is_plausible(rows):
    check_plausible(found(*rows), SIZE, 2)


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ([[*BOX, 320.0, 0], [*BOX, 0.5, 0]], 'confidence: found 320; allowed: 0 to 1'),
        ([[*BOX, -0.5, 0]], 'confidence: found -0.5'),
        ([[*BOX, np.nan, 0]] * 2, 'confidence: found nan as in all 2 candidates; allowed: numbers'),
        ([[*BOX, np.inf, 0]], 'confidence: found inf'),
        ([[30, 40, np.nan, 50, 0.9, 0]], 'box: found '),
        ([[*BOX, 0.9, 2]], 'class: found 2; allowed: whole numbers from 0 to 1'),
        ([[*BOX, 0.9, 0.37]], 'class: found 0.37'),
        ([[900, 900, 990, 990, 0.9, 0]], 'far outside of the input; allowed: about 128x96'),
        ([[-9000, 0, 9000, 50, 0.9, 0]], 'far outside'),
        ([[0.1, 0.1, 0.5, 0.9, 0.9, 0], [0.1, 0.1, 0.3, 0.2, 0.1, 1]], 'shares of the image'),
        ([[1, 1, 5, 7, 0.9, 0]] * 100, 'shares of the image or of cells'),
    ],
)
def test_what_no_model_gives_is_rejected(rows, message):
    with pytest.raises(ImplausibleOutputError, match=message):
        check_plausible(found(*rows), SIZE, 2)
