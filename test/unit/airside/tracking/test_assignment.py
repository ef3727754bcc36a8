# SPDX-License-Identifier: Apache-2.0
"""The assignment problem."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker_pipeline.airside.tracking.assignment import assign


@st.composite
def costs(draw):
    rows = draw(st.integers(0, 4))
    columns = draw(st.integers(rows, 5))
    return draw(arrays(float, (rows, columns), elements=st.integers(-9, 9).map(float)))


@given(costs())
def test_the_assignment_has_the_least_cost(table):
    found = assign(table)
    assert len(set(found)) == len(found) == len(table)
    rows = range(len(table))
    every = itertools.permutations(range(table.shape[1]), len(table))
    cheapest = min(sum(table[row, way[row]] for row in rows) for way in every)
    assert sum(table[row, found[row]] for row in rows) == pytest.approx(cheapest)


@pytest.mark.parametrize('table', [np.zeros((2, 1)), np.array([[np.nan, 1.0]])])
def test_invalid_costs_are_rejected(table):
    with pytest.raises(ValueError, match='costs: found'):
        assign(table)
