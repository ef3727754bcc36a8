"""Targets as files: valid, and readable whatever happens while they are written."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
import sys

import pytest
from support.managing import python_path
from targets import cloud

from worker_pipeline.airside.records import NO_LABEL
from worker_pipeline.airside.reporting import target_files
from worker_pipeline.airside.reporting.target_files import (
    GEOJSON,
    KML,
    TargetFiles,
    geojson_of,
    kml_of,
)
from worker_pipeline.airside.reporting.target_report import ReportBook
from worker_pipeline.testing import wait_for

WRITER = """
import sys
from pathlib import Path
from targets import cloud
from worker_pipeline.airside.reporting.target_files import TargetFiles
from worker_pipeline.airside.reporting.target_report import ReportBook

files, step = TargetFiles(Path(sys.argv[1])), 0
while True:
    book = ReportBook(0.0)
    book.update(cloud(*((label, 9.0 * label, 0.0) for label in range(1 + step % 40))), step)
    files.write(book.reports)
    step += 1
"""


@pytest.fixture
def reports():
    book = ReportBook(1.5)
    book.update(cloud((7, 10.0, 20.0), (NO_LABEL, 30.0, 0.0), (9, 0.0, 0.0)), 1_700_000_000 * 10**9)
    book.update(cloud((7, 10.0, 20.0), (NO_LABEL, 30.0, 0.0)), 1_700_000_001 * 10**9)
    return book.reports


def test_geojson_is_valid_and_tells_each_target(reports):
    geojson = pytest.importorskip('geojson')
    found = geojson.loads(geojson_of(reports))
    assert found.is_valid, found.errors()
    points = [each for each in found.features if each.properties['kind'] == 'target']
    assert [each.properties['name'] for each in points] == ['marker 7', 'unmarked 2']
    assert points[0].geometry.coordinates == pytest.approx([-110.64 + 1.27e-4, 44.96 + 1.8e-4])
    assert points[0].properties['first_seen'] == '2023-11-14T22:13:20.000Z'
    assert points[0].properties['count'] == 3


def test_an_ellipse_goes_round_its_target_counter_clockwise(reports):
    features = json.loads(geojson_of(reports))['features']
    (ring,) = features[1]['geometry']['coordinates']
    assert ring[0] == ring[-1]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring)) / 2
    metres = 111_132.0**2 * math.cos(math.radians(44.96))
    # 95% of a deviation of 0.5 m: a circle of 1.22 m.
    assert area * metres == pytest.approx(math.pi * 1.224**2, rel=0.02)


def test_kml_is_valid_by_its_schema_and_tells_each_target(reports, tmp_path):
    fastkml = pytest.importorskip('fastkml')
    from fastkml.validator import validate

    path = tmp_path / KML
    path.write_bytes(kml_of(reports))
    assert validate(file_to_validate=path)
    (document,) = fastkml.KML.parse(path).features
    assert [each.name for each in document.features] == ['marker 7', 'unmarked 2']
    assert document.features[0].geometry.geom_type == 'GeometryCollection'


def test_no_target_is_a_valid_file_too():
    geojson = pytest.importorskip('geojson')
    assert geojson.loads(geojson_of([])).is_valid
    assert b'<Document>' in kml_of([])


def test_what_is_known_already_is_not_written(reports, tmp_path):
    files = TargetFiles(tmp_path / 'out')
    assert files.is_news(reports)
    files.write(reports)
    assert not files.is_news(reports)
    assert sorted(os.listdir(tmp_path / 'out')) == sorted([GEOJSON, KML])


def test_killed_while_it_writes_both_files_are_whole(tmp_path):
    """Again and again, at any moment."""
    sizes = set()
    for delay in range(8):
        command = [sys.executable, '-c', WRITER, str(tmp_path)]
        environment = os.environ | {'PYTHONPATH': python_path()}
        with subprocess.Popen(command, env=environment) as writer:
            try:
                before = {each.name: each.stat().st_mtime_ns for each in tmp_path.iterdir()}

                def written(before=before):
                    path = tmp_path / KML
                    return path.exists() and path.stat().st_mtime_ns != before.get(KML)

                wait_for(written, 'that it writes')
                with pytest.raises(subprocess.TimeoutExpired):
                    writer.wait(0.003 * delay)  # it never ends by itself
            finally:
                writer.send_signal(signal.SIGKILL)
        features = json.loads((tmp_path / GEOJSON).read_bytes())['features']
        marks = target_files.ElementTree.parse(tmp_path / KML).findall('.//{*}Placemark')
        assert len(features) >= 2
        assert marks
        sizes.add(len(features))
    assert len(sizes) > 1
