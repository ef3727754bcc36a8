# SPDX-License-Identifier: Apache-2.0
"""The linear assignment problem: the assignment of rows to columns with the least total cost.

Shortest augmenting paths with potentials, after Kuhn and Munkres. SciPy takes a second and 48 MB to
import, which every replacement of a worker would pay for.
"""

from __future__ import annotations

import math

import numpy as np

from worker_pipeline.airside.geometry.rotations import Matrix


def assign(costs: Matrix) -> list[int]:
    """Return a different column for each row of ``costs``, with the least total cost.

    ``costs``: (N, M), M >= N, finite; ValueError otherwise.
    """
    rows, columns = costs.shape
    if rows > columns or not np.isfinite(costs).all():
        raise ValueError(
            f'costs: found {costs.tolist()}; allowed: finite, at most as many rows as columns'
        )
    owner = [-1] * (columns + 1)  # the row of each column; the last column is the start of a path
    row_price, column_price = [0.0] * rows, [0.0] * (columns + 1)
    for row in range(rows):
        owner[columns] = row
        least, before = [math.inf] * columns, [columns] * columns
        reached = [False] * (columns + 1)
        column = columns
        while owner[column] >= 0:
            reached[column] = True
            at = owner[column]
            for other in range(columns):
                if not reached[other]:
                    price = float(costs[at, other]) - row_price[at] - column_price[other]
                    if price < least[other]:
                        least[other], before[other] = price, column
            nearest = min(
                (each for each in range(columns) if not reached[each]), key=least.__getitem__
            )
            step = least[nearest]
            for other in range(columns + 1):
                if reached[other]:
                    row_price[owner[other]] += step
                    column_price[other] -= step
                elif other < columns:
                    least[other] -= step
            column = nearest
        while column != columns:
            owner[column] = owner[before[column]]
            column = before[column]
    found = [0] * rows
    for column, row in enumerate(owner[:columns]):
        if row >= 0:
            found[row] = column
    return found
