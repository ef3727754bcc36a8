# SPDX-License-Identifier: Apache-2.0
"""Elevation grids from files: ESRI ASCII grids, which GDAL and every GIS write."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import numpy as np

from worker_pipeline.airside.common.geodesy import pymap3d
from worker_pipeline.airside.geometry.rotations import Matrix
from worker_pipeline.airside.projection.elevation import ElevationGrid

LOCAL, WGS84 = 'local', 'wgs84'

# 32 MB, which take some seconds to read.
_MAX_NODES = 4_000_000
_COUNTS = ('ncols', 'nrows')
_CORNERS = (('xllcorner', 'xllcenter'), ('yllcorner', 'yllcenter'))
_KEYS = {*_COUNTS, *_CORNERS[0], *_CORNERS[1], 'cellsize', 'nodata_value'}
_MAX_DISTANCE = 100e3  # m
_METRES_PER_DEGREE = 111_320.0


@attrs.frozen
class Origin:
    """The origin of the local frame: degrees, WGS 84, and m above the ellipsoid."""

    latitude: float
    longitude: float
    altitude: float


def load_elevation(path: str, frame: str, origin: Origin) -> ElevationGrid:
    """Return the grid of a file in the local frame.

    Args:
        path: The file.
        frame: The file's frame; ``local``: m from the origin, east, north and up; ``wgs84``:
            degrees, and m above the ellipsoid, like ``origin``.
        origin: The origin of the local frame.

    OSError if the file cannot be read, ValueError if it is not such a grid.
    """
    grid = _read(Path(path))
    if frame == WGS84:
        grid = _local(path, grid, origin)
    away = math.hypot(grid.west, grid.south)
    if away > _MAX_DISTANCE:
        raise ValueError(
            f'{path}: found its south-west corner {away / 1e3:.0f} km from the origin; allowed: '
            f'{_MAX_DISTANCE / 1e3:.0f} km. Is it in the frame that elevation_frame says?'
        )
    return grid


def _read(path: Path) -> ElevationGrid:
    """Return the grid of a file in the file's own coordinates."""
    header: dict[str, float] = {}
    with path.open(encoding='ascii', errors='replace') as lines:
        for line in lines:
            words = line.split()
            if len(words) != 2 or words[0].lower() not in _KEYS:
                break
            header[words[0].lower()] = _number(path, *words)
        else:
            raise ValueError(f'{path}: found only a header; allowed: an ESRI ASCII grid')
    try:
        columns, rows = (int(header[key]) for key in _COUNTS)
        spacing = header['cellsize']
        (west, is_west_edge), (south, is_south_edge) = (
            (header[edge], True) if edge in header else (header[middle], False)
            for edge, middle in _CORNERS
        )
    except KeyError as error:
        raise ValueError(
            f'{path}: found no {error.args[0]}; allowed: an ESRI ASCII grid, whose header has '
            'ncols, nrows, xllcorner, yllcorner and cellsize'
        ) from error
    if not (columns >= 2 and rows >= 2 and columns * rows <= _MAX_NODES and spacing > 0):
        raise ValueError(
            f'{path}: found {columns} columns and {rows} rows, {spacing:g} apart; allowed: at '
            f'least 2 of each, at most {_MAX_NODES} heights, and a spacing above 0'
        )
    try:
        heights = np.loadtxt(path, skiprows=len(header), ndmin=2)
    except ValueError as error:
        raise ValueError(f'{path}: {error}; allowed: rows of numbers') from error
    if heights.size != columns * rows:
        raise ValueError(f'{path}: found {heights.size} heights; allowed: {columns * rows}')
    heights[heights == header.get('nodata_value', -9999.0)] = np.nan
    # The first row of a file is its northernmost. A height is that of its cell's centre.
    return ElevationGrid(
        np.ascontiguousarray(heights.reshape(rows, columns)[::-1]),
        west + spacing / 2 * is_west_edge,
        south + spacing / 2 * is_south_edge,
        spacing,
    )


def _number(path: Path, key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    # NaN may be the marker for missing heights.
    if math.isfinite(number) or key.lower() == 'nodata_value':
        return number
    raise ValueError(f'{path}: {key}: found {text}; allowed: a number')


def _local(path: str, grid: ElevationGrid, origin: Origin) -> ElevationGrid:
    """Return a grid in degrees resampled in the local frame, at its finer resolution."""
    there = attrs.astuple(origin)
    rows, columns = grid.heights.shape
    longitudes = grid.west + grid.spacing * np.arange(columns)
    latitudes = grid.south + grid.spacing * np.arange(rows)
    if not (abs(latitudes) <= 90).all() or not (abs(longitudes) <= 360).all():
        raise ValueError(
            f'{path}: found latitudes {latitudes[0]:g} to {latitudes[-1]:g}, longitudes '
            f'{longitudes[0]:g} to {longitudes[-1]:g}; allowed: degrees, as elevation_frame says'
        )
    edge = np.concatenate(
        [np.column_stack([np.full(columns, side), longitudes]) for side in latitudes[[0, -1]]]
        + [np.column_stack([latitudes, np.full(rows, side)]) for side in longitudes[[0, -1]]]
    )
    east, north, _ = pymap3d.geodetic2enu(edge[:, 0], edge[:, 1], origin.altitude, *there)
    narrowing = math.cos(math.radians(abs(latitudes).max()))
    spacing = grid.spacing * _METRES_PER_DEGREE * max(narrowing, 0.01)
    x = np.arange(east.min(), east.max() + spacing, spacing)
    y = np.arange(north.min(), north.max() + spacing, spacing)
    if len(x) * len(y) > _MAX_NODES or len(x) < 2 or len(y) < 2:
        raise ValueError(
            f'{path}: found {len(x)} x {len(y)} heights in the local frame; allowed: at most '
            f'{_MAX_NODES}: cut it to the area of the flight'
        )
    heights = np.array([_heights_of_row(grid, x, each, there) for each in y])
    return ElevationGrid(heights, float(x[0]), float(y[0]), spacing)


def _heights_of_row(
    grid: ElevationGrid, east: Matrix, north: float, origin: tuple[float, float, float]
) -> Matrix:
    """Return the ground's z (N,), m, at positions in the local frame."""
    up = np.zeros(len(east))
    # The length of a degree depends on height: two iterations are accurate to far below 1 mm.
    for _ in range(2):
        latitude, longitude, _ = pymap3d.enu2geodetic(
            east, np.full(len(east), north), np.nan_to_num(up), *origin
        )
        height = grid.height(longitude, latitude)
        _, _, up = pymap3d.geodetic2enu(latitude, longitude, height, *origin)
    return np.asarray(up)
