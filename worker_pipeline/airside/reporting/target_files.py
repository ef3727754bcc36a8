# SPDX-License-Identifier: Apache-2.0
"""Targets as map files, GeoJSON (RFC 7946) and KML 2.2, written atomically."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from worker_pipeline.airside.common.geodesy import pymap3d
from worker_pipeline.airside.reporting.target_report import Report
from worker_pipeline.system.atomic_files import remove_partial_files, write_atomically

GEOJSON, KML = 'targets.geojson', 'targets.kml'
_CORNERS = 36  # of an ellipse as a polygon
_PLACES = 8  # decimals of a degree: a millimetre
_MODE = 0o644
_NAMESPACE = 'http://www.opengis.net/kml/2.2'


class TargetFiles:
    """The two files in a folder. They are written atomically, and only after changes."""

    def __init__(self, directory: Path) -> None:
        """Create the folder if needed. OSError if that fails."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._written: Sequence[Report] | None = None

    def has_changed(self, reports: Sequence[Report]) -> bool:
        """Return whether the reports differ from those in the files."""
        return list(reports) != self._written

    def write(self, reports: Sequence[Report]) -> None:
        """Write both files. OSError if that fails; the previous files then remain."""
        remove_partial_files(self._directory)  # of a worker that was killed while writing
        geojson, kml = geojson_of(reports), kml_of(reports)
        write_atomically(self._directory / GEOJSON, lambda file: file.write(geojson), _MODE)
        write_atomically(self._directory / KML, lambda file: file.write(kml), _MODE)
        self._written = list(reports)


def geojson_of(reports: Sequence[Report]) -> bytes:
    """Return a FeatureCollection: a point per target, and its 95% ellipse."""
    features = []
    for each in _shown(reports):
        point = {'type': 'Point', 'coordinates': list(_rounded(each.longitude, each.latitude))}
        ring = [list(corner) for corner in ellipse_of(each)]
        polygon = {'type': 'Polygon', 'coordinates': [ring]}
        features += [
            _feature(each, 'target', point, _properties(each)),
            _feature(each, 'ellipse_95', polygon, {}),
        ]
    content = {'type': 'FeatureCollection', 'features': features}
    return (json.dumps(content, indent=1) + '\n').encode()


def kml_of(reports: Sequence[Report]) -> bytes:
    """Return a KML document: a placemark per target, with its point and its ellipse."""
    root = ElementTree.Element('kml', xmlns=_NAMESPACE)
    document = ElementTree.SubElement(root, 'Document')
    _text(document, 'name', 'targets')
    style = ElementTree.SubElement(document, 'Style', id='target')
    _text(ElementTree.SubElement(style, 'PolyStyle'), 'color', '400077ff')
    for each in _shown(reports):
        mark = ElementTree.SubElement(document, 'Placemark', id=f'target_{each.number}')
        _text(mark, 'name', each.name)
        stamp = ElementTree.SubElement(mark, 'TimeStamp')
        _text(stamp, 'when', time_of(each.last_stamp))
        _text(mark, 'styleUrl', '#target')
        data = ElementTree.SubElement(mark, 'ExtendedData')
        for name, value in _properties(each).items():
            _text(ElementTree.SubElement(data, 'Data', name=name), 'value', str(value))
        both = ElementTree.SubElement(mark, 'MultiGeometry')
        point = ElementTree.SubElement(both, 'Point')
        _text(point, 'coordinates', _coordinates(_rounded(each.longitude, each.latitude)))
        polygon = ElementTree.SubElement(both, 'Polygon')
        outer = ElementTree.SubElement(polygon, 'outerBoundaryIs')
        ring = ElementTree.SubElement(outer, 'LinearRing')
        _text(ring, 'coordinates', ' '.join(map(_coordinates, ellipse_of(each))))
    ElementTree.indent(root, ' ')
    text: bytes = ElementTree.tostring(root, encoding='utf-8', xml_declaration=True)
    return text + b'\n'


def ellipse_of(report: Report) -> list[tuple[float, float]]:
    """Return the corners (longitude, latitude), counter-clockwise, the first one repeated."""
    ellipse = report.ellipse
    angles = np.linspace(0.0, 2 * np.pi, _CORNERS, endpoint=False)
    along, across = ellipse.major * np.cos(angles), ellipse.minor * np.sin(angles)
    sine, cosine = math.sin(ellipse.azimuth), math.cos(ellipse.azimuth)
    # Along the azimuth, and across to its left: counter-clockwise.
    east, north = along * sine - across * cosine, along * cosine + across * sine
    latitudes, longitudes, _ = pymap3d.enu2geodetic(
        east, north, np.zeros(_CORNERS), report.latitude, report.longitude, 0.0
    )
    corners = [_rounded(*each) for each in zip(longitudes, latitudes, strict=True)]
    return [*corners, corners[0]]


def time_of(stamp: int) -> str:
    """Return a stamp (ns) in UTC, in ISO 8601 with milliseconds."""
    moment = datetime.fromtimestamp(stamp // 1_000_000 / 1000, timezone.utc)
    return moment.isoformat(timespec='milliseconds').replace('+00:00', 'Z')


def _shown(reports: Sequence[Report]) -> list[Report]:
    return [each for each in reports if not each.withdrawn]


def _properties(report: Report) -> dict[str, Any]:
    ellipse = report.ellipse
    return {
        'label': report.label,
        'count': report.count,
        'east_m': round(report.east, 3),
        'north_m': round(report.north, 3),
        'deviation_m': round(report.deviation, 4),
        'ellipse_95_major_m': round(ellipse.major, 4),
        'ellipse_95_minor_m': round(ellipse.minor, 4),
        'ellipse_95_azimuth_deg': round(math.degrees(ellipse.azimuth), 2),
        'first_seen': time_of(report.first_stamp),
        'last_seen': time_of(report.last_stamp),
    }


def _feature(
    report: Report, kind: str, geometry: dict[str, Any], properties: dict[str, Any]
) -> dict[str, Any]:
    return {
        'type': 'Feature',
        'id': f'{kind}_{report.number}',
        'geometry': geometry,
        'properties': {'kind': kind, 'name': report.name, **properties},
    }


def _rounded(longitude: float, latitude: float) -> tuple[float, float]:
    return round(float(longitude), _PLACES), round(float(latitude), _PLACES)


def _coordinates(place: tuple[float, float]) -> str:
    return f'{place[0]:.{_PLACES}f},{place[1]:.{_PLACES}f}'


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text
