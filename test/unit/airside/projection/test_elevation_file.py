# SPDX-License-Identifier: Apache-2.0
"""Elevation grids from files."""

from __future__ import annotations

import numpy as np
import pymap3d
import pytest

from worker_pipeline.airside.projection.elevation_file import LOCAL, WGS84, Origin, load_elevation

ORIGIN = Origin(44.95936602, -110.63865039, 2000.0)
HEADER = {
    'ncols': '3',
    'nrows': '2',
    'xllcorner': '-15',
    'yllcorner': '100.0',
    'cellsize': '10.0',
    'NODATA_value': '-9999',
}
ROWS = '1 2 3\n4 5 -9999\n'


@pytest.fixture
def written(tmp_path):
    def write(header=HEADER, rows=ROWS):
        path = tmp_path / 'ground.asc'
        path.write_text(''.join(f'{key} {value}\n' for key, value in header.items()) + rows)
        return str(path)

    return write


def test_heights_are_at_cell_centres_and_the_first_row_is_north(written):
    grid = load_elevation(written(), LOCAL, ORIGIN)
    assert (grid.west, grid.south, grid.spacing) == (-10.0, 105.0, 10.0)
    np.testing.assert_array_equal(grid.heights, [[4, 5, np.nan], [1, 2, 3]])
    east, north = np.array([-10.0, -10.0, -5.0]), np.array([105.0, 115.0, 110.0])
    np.testing.assert_array_equal(grid.height(east, north), [4.0, 1.0, 3.0])
    assert np.isnan(grid.height(np.array([5.0]), np.array([114.0]))), 'beside an unknown height'


def test_the_corner_may_be_a_cell_centre_and_keys_are_case_insensitive(written):
    header = {'NCOLS': 3, 'NROWS': 2, 'XLLCENTER': -10, 'YLLCENTER': 105, 'CELLSIZE': 10}
    grid = load_elevation(written(header), LOCAL, ORIGIN)
    assert (grid.west, grid.south) == (-10.0, 105.0)
    assert np.isnan(grid.heights[0, 2]), 'without NODATA_value it is -9999'


def test_rows_of_the_file_need_not_match_rows_of_the_grid(written):
    assert load_elevation(written(rows='1 2\n3 4\n5 6\n'), LOCAL, ORIGIN).heights[0, 0] == 4.0


def test_a_grid_in_degrees_is_the_same_ground(written):
    """A tilted plane over some 300 m, and hills: each node is at its position."""
    size, cell = 61, 5e-5
    latitude = ORIGIN.latitude + cell * (np.arange(size) - size // 2)
    longitude = ORIGIN.longitude + cell * (np.arange(size) - size // 2)
    heights = (
        2000
        + 1e4 * (latitude[:, None] - ORIGIN.latitude)
        + 5 * np.sin(3000 * (longitude - ORIGIN.longitude))
    )
    header = {
        'ncols': size,
        'nrows': size,
        'xllcenter': repr(float(longitude[0])),
        'yllcenter': repr(float(latitude[0])),
        'cellsize': cell,
    }
    rows = '\n'.join(' '.join(f'{each:.6f}' for each in row) for row in heights[::-1])
    grid = load_elevation(written(header, rows), WGS84, ORIGIN)
    inner = slice(3, -3)
    lat, lon = np.meshgrid(latitude[inner], longitude[inner], indexing='ij')
    truth = pymap3d.geodetic2enu(
        lat, lon, heights[inner, inner], ORIGIN.latitude, ORIGIN.longitude, ORIGIN.altitude
    )
    found = grid.height(truth[0], truth[1])
    # The rest is the error of resampling a surface with folds.
    np.testing.assert_allclose(found, truth[2], atol=0.1)
    assert np.sqrt(np.mean((found - truth[2]) ** 2)) < 0.02
    assert np.isnan(grid.height(np.array([500.0]), np.array([0.0]))).all()


BAD = {
    'a key missing': ({'cellsize': None}, ROWS, 'found no cellsize; allowed: an ESRI ASCII grid'),
    'a corner missing': ({'xllcorner': None}, ROWS, 'found no xllcenter'),
    'a value that is none': ({'cellsize': 'wide'}, ROWS, 'cellsize: found wide; allowed: a number'),
    'one row': ({'nrows': '1'}, '1 2 3\n', 'found 3 columns and 1 rows'),
    'too many': ({'nrows': '9999999'}, ROWS, 'at most 4000000 heights'),
    'no size': ({'cellsize': '0'}, ROWS, '0 apart; allowed: .*and a spacing above 0'),
    'too few heights': ({}, '1 2 3\n', 'found 3 heights; allowed: 6'),
    'a word among them': ({}, '1 2 3\n4 x 6\n', "'x'.*allowed: rows of numbers"),
    'nothing else': ({}, '', 'found only a header'),
    'UTM': ({'yllcorner': '4978000'}, ROWS, 'found its south-west corner 4978 km from the origin'),
}


@pytest.mark.parametrize(('changes', 'rows', 'expected'), BAD.values(), ids=BAD.keys())
def test_an_unusable_file_is_reported(written, changes, rows, expected):
    header = {key: value for key, value in (HEADER | changes).items() if value is not None}
    with pytest.raises(ValueError, match=rf'ground\.asc: .*{expected}'):
        load_elevation(written(header, rows), LOCAL, ORIGIN)


def test_metres_taken_for_degrees_and_a_grid_of_the_world_are_rejected(written):
    with pytest.raises(
        ValueError, match=r'found latitudes 105 to 115, longitudes .*; allowed: deg'
    ):
        load_elevation(written(), WGS84, ORIGIN)
    header = HEADER | {'xllcorner': '-111', 'yllcorner': '44', 'cellsize': '1e-4'}
    header |= {'ncols': 2, 'nrows': 2}
    far = written(header, '1 2\n3 4\n')
    with pytest.raises(ValueError, match='from the origin'):
        load_elevation(far, WGS84, ORIGIN)
    header |= {'ncols': 40_000}
    wide = written(header, '1 ' * 80_000)
    with pytest.raises(ValueError, match='heights in the local frame; allowed: at most 4000000'):
        load_elevation(wide, WGS84, ORIGIN)


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(OSError, match=r'none\.asc'):
        load_elevation(str(tmp_path / 'none.asc'), LOCAL, ORIGIN)
