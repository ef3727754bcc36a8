# SPDX-License-Identifier: Apache-2.0
"""Normally distributed errors in the plane, east and north."""

from __future__ import annotations

import math


def chi_square(probability: float) -> float:
    """Return the quantile of the chi-square distribution with two degrees of freedom."""
    return -2.0 * math.log1p(-probability)


def worst_deviation(var_east: float, var_north: float, cov_east_north: float) -> float:
    """Return the standard deviation in the worst direction, m, from a covariance in m^2.

    Args:
        var_east: Variance to the east, m^2.
        var_north: Variance to the north, m^2.
        cov_east_north: Covariance of both, m^2.
    """
    apart = math.hypot((var_east - var_north) / 2, cov_east_north)
    return math.sqrt(max(0.0, (var_east + var_north) / 2 + apart))
