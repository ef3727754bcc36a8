"""Errors in the plane, east and north, that are normally distributed."""

from __future__ import annotations

import math


def chi_square(probability: float) -> float:
    """What a chi-square variable of two degrees of freedom stays below so often."""
    return -2.0 * math.log1p(-probability)


def worst_deviation(var_east: float, var_north: float, cov_east_north: float) -> float:
    """The standard deviation in the worst direction, m; variances and covariance: m^2."""
    apart = math.hypot((var_east - var_north) / 2, cov_east_north)
    return math.sqrt(max(0.0, (var_east + var_north) / 2 + apart))
