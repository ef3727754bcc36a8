"""What a flight was worth."""

from __future__ import annotations

import json

import attrs
import numpy as np
import pytest

from worker_pipeline.airside.records import NO_LABEL, TARGET
from worker_pipeline.mission.assessment import assess, estimates_of, matched
from worker_pipeline.mission.observation import Observation
from worker_pipeline.mission.results import geojson_of, report_of
from worker_pipeline.simulation.pads import Pad

PADS = [Pad(4, 10.0, 20.0), Pad(NO_LABEL, 0.0, 0.0), Pad(NO_LABEL, 30.0, 0.0)]


def targets(*places):
    """A set of targets: label, east, north each."""
    records = np.zeros(len(places), TARGET)
    for record, (label, east, north) in zip(records, places, strict=True):
        record['label'], record['x'], record['y'] = label, east, north
        record['latitude'], record['longitude'] = 44.9 + north * 1e-5, -110.6 + east * 1e-5
        record['variance'], record['count'] = 0.04, 12
    return records


ALL_FOUND = targets((4, 10.0, 20.3), (NO_LABEL, 30.1, 0.0), (NO_LABEL, 0.0, 0.1))


def flown(frames=100, answered=100, dropped=0, received=100, restarts=1):
    seen = Observation()
    seen.told('video_input', {'delivered': str(frames), 'dropped': '5'})
    seen.told('detect_target', {'delivered': str(answered), 'dropped': str(dropped)})
    seen.told('geolocation', {'redelivered': '2'})
    seen.told('cluster_estimation', {'delivered': str(answered)})
    seen.told('detect_target/worker_0', {'restarts': str(restarts)})
    for stamp in range(received):
        seen.came('cluster_estimation', stamp)
        seen.latencies.append(0.1 + 0.001 * stamp)
    return seen


def test_a_good_flight_has_no_problem():
    result = assess(PADS, ALL_FOUND, flown(), killed=True)
    assert not result.problems
    errors = [finding.error for finding in result.findings]
    assert errors == pytest.approx([0.3, 0.1, 0.1], abs=1e-5)
    books = result.accounting
    assert (books.frames_in, books.answered, books.missing) == (100, 100, 0)
    assert (books.dropped, books.redelivered) == (0, 2), 'a tick dropped is no frame'
    assert result.latency.median == pytest.approx(0.1495)
    assert result.latency.p99 == pytest.approx(0.19801)


def test_pads_without_a_marker_go_to_the_nearest_target():
    findings, left = matched(PADS[1:], estimates_of(targets((-1, 29.0, 0.0), (-1, 16.0, 0.0))))
    assert [finding.error for finding in findings] == [16.0, 1.0]
    assert not left


@pytest.mark.parametrize(
    ('found', 'seen', 'killed', 'problem'),
    [
        (ALL_FOUND[1:], flown(), True, 'marker 4 was not found'),
        (None, flown(), True, 'marker 4 was not found'),
        (
            targets((4, 10.0, 21.0), (-1, 0.0, 0.0), (-1, 30.0, 0.0)),
            flown(),
            True,
            'marker 4 is off by 1.00 m; allowed: 0.5 m',
        ),
        (
            np.concatenate([ALL_FOUND, targets((9, 1.0, 2.0))]),
            flown(),
            True,
            'marker 9 at 1.0 m east, 2.0 m north is no pad',
        ),
        (ALL_FOUND, flown(answered=98), True, '2 of 100 frames are unaccounted for'),
        (ALL_FOUND, flown(answered=99, received=100), True, '99 frames were answered by the books'),
        (ALL_FOUND, flown(0, 0, received=0), False, 'no frame came in'),
        (ALL_FOUND, flown(restarts=0), True, 'the killed worker was not replaced'),
    ],
)
def test_what_is_not_as_promised_is_said(found, seen, killed, problem):
    assert any(problem in each for each in assess(PADS, found, seen, killed).problems)


def test_dropped_frames_are_accounted_for():
    assert not assess(PADS, ALL_FOUND, flown(answered=97, dropped=3, received=97), True).problems


def test_frames_that_come_twice_or_late_or_never_are_said():
    seen = flown()
    seen.came('cluster_estimation', 99)
    assert 'came twice' in assess(PADS, ALL_FOUND, seen, True).problems[0]
    seen = flown(101, 101)
    seen.came('cluster_estimation', 1000)
    seen.came('cluster_estimation', 999)
    assert '1 out of order' in ' '.join(assess(PADS, ALL_FOUND, seen, True).problems)
    seen = flown()
    seen.came('detect_target', 5000)
    assert '1 frames left a stage' in assess(PADS, ALL_FOUND, seen, True).problems[0]


def test_without_a_kill_nobody_need_be_replaced():
    assert not assess(PADS, ALL_FOUND, flown(restarts=0), killed=False).problems


def test_the_targets_are_geojson():
    collection = geojson_of(assess(PADS, ALL_FOUND, flown(), True))
    assert collection['type'] == 'FeatureCollection'
    first = collection['features'][0]
    assert first['geometry']['type'] == 'Point'
    longitude, latitude = first['geometry']['coordinates']
    assert longitude == pytest.approx(-110.5999, abs=1e-6)
    assert latitude == pytest.approx(44.900203, abs=1e-6)
    assert first['properties'] == {
        'name': 'marker 4',
        'label': 4,
        'sightings': 12,
        'deviation_m': 0.2,
        'error_m': 0.3,
    }
    assert json.loads(json.dumps(collection)) == collection


def test_the_report_tells_all():
    report = json.loads(json.dumps(report_of(assess(PADS, ALL_FOUND[:1], flown(), True))))
    assert report['ok'] is False
    assert [pad['found'] for pad in report['pads']] == [True, False, False]
    assert report['frames']['frames_in'] == 100
    assert report['frames']['missing'] == 0
    assert report['replacements'] == 1
    assert len(report['problems']) == 2
    good = report_of(assess(PADS, ALL_FOUND, flown(), True))
    assert good['ok'] is True
    assert set(good['pads'][0]['estimate']) == {
        field.name for field in attrs.fields(type(estimates_of(ALL_FOUND)[0]))
    }
