# SPDX-License-Identifier: Apache-2.0
"""Terrain, against a search along the ray in small steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.projection.elevation import ElevationGrid
from worker_pipeline.airside.projection.ground import FlatGround, Ground

SPACING = 5.0
SIDE = 12


def rugged(seed, holes=0):
    """Return 60 m squared around the origin, up to 30 m high, with holes."""
    random = np.random.default_rng(seed)
    heights = random.uniform(0.0, 30.0, (SIDE, SIDE))
    for _ in range(holes):
        heights[tuple(random.integers(0, SIDE, 2))] = np.nan
    return ElevationGrid(heights, -27.5, -27.5, SPACING)


def plain_height(grid, east, north):
    """Return the bilinear height at one position, computed independently."""
    x, y = (east - grid.west) / grid.spacing, (north - grid.south) / grid.spacing
    if not (0 <= x <= SIDE - 1 and 0 <= y <= SIDE - 1):
        return np.nan
    column, row = min(int(x), SIDE - 2), min(int(y), SIDE - 2)
    u, v = x - column, y - row
    (a, b), (c, d) = grid.heights[row : row + 2, column : column + 2]
    return a * (1 - u) * (1 - v) + b * u * (1 - v) + c * (1 - u) * v + d * u * v


STEP = 0.01  # m


def searched(grid, origin, direction):
    """Return the first step of a ray at which it is in or below the ground, or None."""
    was_above = False
    for time in np.arange(0.0, 150.0, STEP):
        east, north, up = origin + time * direction
        height = plain_height(grid, east, north)
        if np.isnan(height):
            was_above = False
        elif up > height:
            was_above = True
        else:
            return (time, [east, north, up]) if was_above else None
    return None


downwards = st.floats(-0.9, -0.15)
angles = st.floats(-3.14, 3.14)


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(40))
def test_the_intersection_agrees_with_a_search_along_the_ray(seed):
    """Steep rays and level ones, from above, from between the hills, and from outside."""
    random = np.random.default_rng(1000 + seed)
    grid = rugged(seed, holes=seed % 3)
    origin = random.uniform([-45, -45, 5], [45, 45, 60])
    direction = random.uniform([-25, -25, 0], [25, 25, 10]) - origin
    direction /= np.linalg.norm(direction)
    expected = searched(grid, origin, direction)
    found = grid.intersect(origin, direction)
    if expected is None:
        # A search in steps misses ground that is grazed for less than a step.
        assert np.isnan(found).all() or not comes_out(grid, found, direction)
        return
    time, point = expected
    if np.isnan(found).any():
        pytest.fail(f'found nothing; the search found {point}')
    assert np.linalg.norm(found - origin) <= time + 1e-9
    assert np.linalg.norm(found - point) <= STEP or not comes_out(grid, found, direction)


def comes_out(grid, point, direction):
    """Return whether a ray is out of the ground a step after a point."""
    east, north, up = point + STEP * direction
    return not up > plain_height(grid, east, north)


@given(st.integers(0, 10_000), angles, downwards, st.floats(-20, 20), st.floats(-20, 20))
def test_the_intersection_is_the_first_point_on_the_ground(seed, angle, fall, east, north):
    grid = rugged(seed)
    origin = np.array([east, north, 40.0])
    level = np.sqrt(1 - fall**2)
    direction = np.array([level * np.cos(angle), level * np.sin(angle), fall])
    point = grid.intersect(origin, direction)
    times = np.linspace(0.0, 1.0, 2000)[:, None]
    end = point if np.isfinite(point).all() else origin + 40.0 / -fall * direction
    before = origin + times * (end - origin)
    clearance = before[:, 2] - grid.height(before[:, 0], before[:, 1])
    assert not (clearance < -1e-6).any()
    if np.isfinite(point).all():
        assert abs(clearance[-1]) < 1e-6


@given(st.integers(0, 10_000), st.floats(-27, 27), st.floats(-27, 27))
def test_the_height_is_bilinear_and_the_normal_perpendicular(seed, east, north):
    grid = rugged(seed)
    found = grid.height(np.array([east]), np.array([north]))[0]
    assert found == pytest.approx(plain_height(grid, east, north), abs=1e-9)
    normal = grid.normal(east, north)
    step = 1e-6
    x, y = (east - grid.west) / SPACING % 1, (north - grid.south) / SPACING % 1
    if min(x, y, 1 - x, 1 - y) < 1e-5:
        return  # at a fold the ground has no normal
    near = grid.height(np.array([east + step, east]), np.array([north, north + step]))
    slope = (near - found) / step
    np.testing.assert_allclose(normal, [-slope[0], -slope[1], 1.0], atol=1e-4)


def hill():
    """Return flat ground at 0 with a ridge of 10 m from north to south through the origin."""
    heights = np.zeros((3, 21))
    heights[:, 10] = 10.0
    return ElevationGrid(heights, -50.0, -5.0, 5.0)


def test_ground_behind_a_ridge_is_hidden():
    """A ray towards the ground behind it ends on its near slope."""
    grid = hill()
    direction = np.array([4.0, 0.0, -1.0]) / np.sqrt(17)
    point = grid.intersect(np.array([-40.0, 0.0, 15.0]), direction)
    np.testing.assert_allclose(point, [-20 / 9, 0.0, 50 / 9], atol=1e-9)
    over = grid.intersect(np.array([-40.0, 0.0, 21.0]), direction)
    np.testing.assert_allclose(over, [44.0, 0.0, 0.0], atol=1e-9)


def test_rays_along_grid_lines_and_straight_down_are_intersected():
    grid = hill()
    down = grid.intersect(np.array([0.0, 0.0, 60.0]), np.array([0.0, 0.0, -1.0]))
    np.testing.assert_allclose(down, [0.0, 0.0, 10.0], atol=1e-9)
    direction = np.array([0.0, 1.0, -1.0]) / np.sqrt(2)
    along = grid.intersect(np.array([0.0, -4.0, 12.0]), direction)
    np.testing.assert_allclose(along, [0.0, -2.0, 10.0], atol=1e-9)


def test_a_ray_from_below_the_ground_has_no_intersection():
    grid = hill()
    assert np.isnan(grid.intersect(np.array([0.0, 0.0, 9.0]), np.array([0.0, 0.0, -1.0]))).all()
    up = np.array([0.6, 0.0, 0.8])
    assert np.isnan(grid.intersect(np.array([-10.0, 0.0, -5.0]), up)).all()
    assert np.isnan(grid.intersect(np.array([-10.0, 0.0, 5.0]), np.array([0.0, 0.0, 1.0]))).all()


def test_a_ray_that_enters_the_grid_below_ground_has_no_intersection():
    """The point is unknown, unless there is flat ground beyond the grid."""
    high = ElevationGrid(np.full((3, 3), 20.0), 0.0, -5.0, 5.0)
    origin, direction = np.array([-30.0, 0.0, 30.0]), np.array([1.0, 0.0, -1.0]) / np.sqrt(2)
    assert np.isnan(high.intersect(origin, direction)).all()
    assert np.isnan(Ground(high).intersect(origin, direction)).all()
    found = Ground(high, FlatGround(15.0)).intersect(origin, direction)
    np.testing.assert_allclose(found, [-15.0, 0.0, 15.0])


def test_flat_ground_is_used_only_outside_the_grid():
    """The ray passes over the whole grid and reaches the level of the flat ground within it."""
    low = ElevationGrid(np.full((3, 21), -20.0), -50.0, -5.0, 5.0)
    origin, direction = np.array([0.0, 0.0, 30.0]), np.array([2.0, 0.0, -1.0]) / np.sqrt(5)
    assert np.isnan(low.intersect(origin, direction)).all()
    assert np.isnan(Ground(low, FlatGround(15.0)).intersect(origin, direction)).all()
    found = Ground(low, FlatGround(0.0)).intersect(origin, direction)
    np.testing.assert_allclose(found, [60.0, 0.0, 0.0])


def test_a_hole_under_the_ray_is_harmless():
    grid = hill()
    heights = grid.heights.copy()
    heights[:, 3] = np.nan
    holed = ElevationGrid(heights, grid.west, grid.south, grid.spacing)
    origin, direction = np.array([-48.0, 0.0, 12.0]), np.array([8.0, 0.0, -1.0]) / np.sqrt(65)
    np.testing.assert_allclose(
        holed.intersect(origin, direction), grid.intersect(origin, direction)
    )
    nothing = ElevationGrid(np.full((3, 3), np.nan), -5.0, -5.0, 5.0)
    assert np.isnan(nothing.intersect(origin, direction)).all()
