"""Ground that rises and falls, against a search that knows nothing of parabolas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.placing.elevation import ElevationGrid
from worker_pipeline.airside.placing.ground import FlatGround, Ground

SPACING = 5.0
SIDE = 12


def rugged(seed, holes=0):
    """60 m squared about the origin, up to 30 m high, with holes in what is known."""
    random = np.random.default_rng(seed)
    heights = random.uniform(0.0, 30.0, (SIDE, SIDE))
    for _ in range(holes):
        heights[tuple(random.integers(0, SIDE, 2))] = np.nan
    return ElevationGrid(heights, -27.5, -27.5, SPACING)


def plain_height(grid, east, north):
    """Bilinear, written down anew: one place."""
    x, y = (east - grid.west) / grid.spacing, (north - grid.south) / grid.spacing
    if not (0 <= x <= SIDE - 1 and 0 <= y <= SIDE - 1):
        return np.nan
    column, row = min(int(x), SIDE - 2), min(int(y), SIDE - 2)
    u, v = x - column, y - row
    (a, b), (c, d) = grid.heights[row : row + 2, column : column + 2]
    return a * (1 - u) * (1 - v) + b * u * (1 - v) + c * (1 - u) * v + d * u * v


STEP = 0.01  # m


def searched(grid, origin, direction):
    """The first step of a ray at which it is in or below the ground; None: there is none."""
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


@pytest.mark.parametrize('seed', range(40))
def test_a_ray_meets_the_ground_where_a_search_finds_it(seed):
    """Steep rays and level ones, from above, from within the hills, and from outside."""
    random = np.random.default_rng(1000 + seed)
    grid = rugged(seed, holes=seed % 3)
    origin = random.uniform([-45, -45, 5], [45, 45, 60])
    direction = random.uniform([-25, -25, 0], [25, 25, 10]) - origin
    direction /= np.linalg.norm(direction)
    expected = searched(grid, origin, direction)
    found = grid.meet(origin, direction)
    if expected is None:
        # A search in steps misses what is grazed for less than one.
        assert np.isnan(found).all() or not comes_out(grid, found, direction)
        return
    time, point = expected
    if np.isnan(found).any():
        pytest.fail(f'found nothing; the search found {point}')
    assert np.linalg.norm(found - origin) <= time + 1e-9
    assert np.linalg.norm(found - point) <= STEP or not comes_out(grid, found, direction)


def comes_out(grid, point, direction):
    """Whether a ray is still in the ground a step after a point."""
    east, north, up = point + STEP * direction
    return not up > plain_height(grid, east, north)


@given(st.integers(0, 10_000), angles, downwards, st.floats(-20, 20), st.floats(-20, 20))
def test_what_is_met_is_on_the_ground_and_nothing_before_it(seed, angle, fall, east, north):
    grid = rugged(seed)
    origin = np.array([east, north, 40.0])
    level = np.sqrt(1 - fall**2)
    direction = np.array([level * np.cos(angle), level * np.sin(angle), fall])
    point = grid.meet(origin, direction)
    times = np.linspace(0.0, 1.0, 2000)[:, None]
    end = point if np.isfinite(point).all() else origin + 40.0 / -fall * direction
    before = origin + times * (end - origin)
    clearance = before[:, 2] - grid.height(before[:, 0], before[:, 1])
    assert not (clearance < -1e-6).any()
    if np.isfinite(point).all():
        assert abs(clearance[-1]) < 1e-6


@given(st.integers(0, 10_000), st.floats(-27, 27), st.floats(-27, 27))
def test_the_height_is_bilinear_and_the_normal_stands_on_it(seed, east, north):
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
    """Flat at 0, with a ridge of 10 m from north to south through the origin."""
    heights = np.zeros((3, 21))
    heights[:, 10] = 10.0
    return ElevationGrid(heights, -50.0, -5.0, 5.0)


def test_what_is_behind_a_ridge_is_not_seen():
    """A ray that would come down behind it ends on its near slope."""
    grid = hill()
    direction = np.array([4.0, 0.0, -1.0]) / np.sqrt(17)
    point = grid.meet(np.array([-40.0, 0.0, 15.0]), direction)
    np.testing.assert_allclose(point, [-20 / 9, 0.0, 50 / 9], atol=1e-9)
    over = grid.meet(np.array([-40.0, 0.0, 21.0]), direction)
    np.testing.assert_allclose(over, [44.0, 0.0, 0.0], atol=1e-9)


def test_a_ray_along_the_grids_lines_and_one_straight_down():
    grid = hill()
    down = grid.meet(np.array([0.0, 0.0, 60.0]), np.array([0.0, 0.0, -1.0]))
    np.testing.assert_allclose(down, [0.0, 0.0, 10.0], atol=1e-9)
    direction = np.array([0.0, 1.0, -1.0]) / np.sqrt(2)
    along = grid.meet(np.array([0.0, -4.0, 12.0]), direction)
    np.testing.assert_allclose(along, [0.0, -2.0, 10.0], atol=1e-9)


def test_a_camera_below_the_ground_or_a_ray_from_below_meets_nothing():
    grid = hill()
    assert np.isnan(grid.meet(np.array([0.0, 0.0, 9.0]), np.array([0.0, 0.0, -1.0]))).all()
    up = np.array([0.6, 0.0, 0.8])
    assert np.isnan(grid.meet(np.array([-10.0, 0.0, -5.0]), up)).all()
    assert np.isnan(grid.meet(np.array([-10.0, 0.0, 5.0]), np.array([0.0, 0.0, 1.0]))).all()


def test_what_comes_in_below_the_ground_has_met_it_outside():
    """Nobody knows where; flat ground beyond the grid does."""
    high = ElevationGrid(np.full((3, 3), 20.0), 0.0, -5.0, 5.0)
    origin, direction = np.array([-30.0, 0.0, 30.0]), np.array([1.0, 0.0, -1.0]) / np.sqrt(2)
    assert np.isnan(high.meet(origin, direction)).all()
    assert np.isnan(Ground(high).meet(origin, direction)).all()
    found = Ground(high, FlatGround(15.0)).meet(origin, direction)
    np.testing.assert_allclose(found, [-15.0, 0.0, 15.0])


def test_flat_ground_is_none_where_the_grid_knows_better():
    """The ray passes over the whole grid, and comes down to the flat ground's level within it."""
    low = ElevationGrid(np.full((3, 21), -20.0), -50.0, -5.0, 5.0)
    origin, direction = np.array([0.0, 0.0, 30.0]), np.array([2.0, 0.0, -1.0]) / np.sqrt(5)
    assert np.isnan(low.meet(origin, direction)).all()
    assert np.isnan(Ground(low, FlatGround(15.0)).meet(origin, direction)).all()
    found = Ground(low, FlatGround(0.0)).meet(origin, direction)
    np.testing.assert_allclose(found, [60.0, 0.0, 0.0])


def test_a_hole_that_is_passed_over_does_not_matter():
    grid = hill()
    heights = grid.heights.copy()
    heights[:, 3] = np.nan
    holed = ElevationGrid(heights, grid.west, grid.south, grid.spacing)
    origin, direction = np.array([-48.0, 0.0, 12.0]), np.array([8.0, 0.0, -1.0]) / np.sqrt(65)
    np.testing.assert_allclose(holed.meet(origin, direction), grid.meet(origin, direction))
    nothing = ElevationGrid(np.full((3, 3), np.nan), -5.0, -5.0, 5.0)
    assert np.isnan(nothing.meet(origin, direction)).all()
