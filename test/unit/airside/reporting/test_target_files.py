# SPDX-License-Identifier: Apache-2.0
"""Targets as files: valid, and readable after a kill at any moment."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
import sys

import pytest
from support.manager_process import python_path
from targets import cloud

from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.reporting import target_files
from worker_pipeline.airside.reporting.target_files import (
    GEOJSON,
    KML,
    TargetFiles,
    geojson_of,
    kml_of,
)
from worker_pipeline.airside.reporting.target_report import ReportStore
from worker_pipeline.testing import wait_for

WRITER = """
import sys
from pathlib import Path
from targets import cloud
from worker_pipeline.airside.reporting.target_files import TargetFiles
from worker_pipeline.airside.reporting.target_report import ReportStore

files, step = TargetFiles(Path(sys.argv[1])), 0
while True:
    store = ReportStore(0.0)
    store.update(cloud(*((label, 9.0 * label, 0.0) for label in range(1 + step % 40))), step)
    files.write(store.reports)
    step += 1
"""


@pytest.fixture
def reports():
    store = ReportStore(1.5)
    store.update(
        cloud((7, 10.0, 20.0), (NO_LABEL, 30.0, 0.0), (9, 0.0, 0.0)), 1_700_000_000 * 10**9
    )
    store.update(cloud((7, 10.0, 20.0), (NO_LABEL, 30.0, 0.0)), 1_700_000_001 * 10**9)
    return store.reports


def test_geojson_is_valid_and_has_each_target(reports):
    geojson = pytest.importorskip('geojson')
    found = geojson.loads(geojson_of(reports))
    assert found.is_valid, found.errors()
    points = [each for each in found.features if each.properties['kind'] == 'target']
    assert [each.properties['name'] for each in points] == ['marker 7', 'unmarked 2']
    assert points[0].geometry.coordinates == pytest.approx([-110.64 + 1.27e-4, 44.96 + 1.8e-4])
    assert points[0].properties['first_seen'] == '2023-11-14T22:13:20.000Z'
    assert points[0].properties['count'] == 3


@pytest.mark.slow
def test_an_ellipse_is_counter_clockwise_around_its_target(reports):
    features = json.loads(geojson_of(reports))['features']
    (ring,) = features[1]['geometry']['coordinates']
    assert ring[0] == ring[-1]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring)) / 2
    metres = 111_132.0**2 * math.cos(math.radians(44.96))
    # 95% of a deviation of 0.5 m: a circle of 1.22 m.
    assert area * metres == pytest.approx(math.pi * 1.224**2, rel=0.02)


def test_kml_is_valid_by_its_schema_and_has_each_target(reports, tmp_path):
    fastkml = pytest.importorskip('fastkml')
    from fastkml.validator import validate

    path = tmp_path / KML
    path.write_bytes(kml_of(reports))
    assert validate(file_to_validate=path)
    (document,) = fastkml.KML.parse(path).features
    assert [each.name for each in document.features] == ['marker 7', 'unmarked 2']
    assert document.features[0].geometry.geom_type == 'GeometryCollection'


def test_without_targets_the_files_are_valid_too():
    geojson = pytest.importorskip('geojson')
    assert geojson.loads(geojson_of([])).is_valid
    assert b'<Document>' in kml_of([])


@pytest.mark.slow
def test_unchanged_reports_are_not_written(reports, tmp_path):
    files = TargetFiles(tmp_path / 'out')
    assert files.has_changed(reports)
    files.write(reports)
    assert not files.has_changed(reports)
    assert sorted(os.listdir(tmp_path / 'out')) == sorted([GEOJSON, KML])


@pytest.mark.slow
def test_after_a_kill_during_writing_both_files_are_complete(tmp_path):
    """Repeatedly, at any moment."""
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

                wait_for(written, 'a written file')
                with pytest.raises(subprocess.TimeoutExpired):
                    writer.wait(0.003 * delay)  # it never exits by itself
            finally:
                writer.send_signal(signal.SIGKILL)
        features = json.loads((tmp_path / GEOJSON).read_bytes())['features']
        marks = target_files.ElementTree.parse(tmp_path / KML).findall('.//{*}Placemark')
        assert len(features) >= 2
        assert marks
        sizes.add(len(features))
    assert len(sizes) > 1
