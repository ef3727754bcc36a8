"""Who belongs to whom: the assignment of rows to columns that costs the least.

Shortest augmenting paths with potentials, as Kuhn and Munkres have it. A library for it (SciPy)
takes a second and 48 MB to import, which each replacement of a worker would pay for.
"""

from __future__ import annotations

import math

import numpy as np

from worker_pipeline.airside.geometry import Matrix


def assigned(costs: Matrix) -> list[int]:
    """The column of each row of ``costs`` (N, M >= N, finite), no column twice, the sum the least.

    ValueError if there are too few columns, or a cost that is no finite number.
    """
    rows, columns = costs.shape
    if rows > columns or not np.isfinite(costs).all():
        raise ValueError(f'costs: found {costs.tolist()}; allowed: finite, at most as many rows')
    owner = [-1] * (columns + 1)  # the row of each column; the last one is where a path begins
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
