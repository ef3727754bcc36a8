# SPDX-License-Identifier: Apache-2.0
"""The assessment of a flight."""

from __future__ import annotations

import json

import numpy as np
import pytest
from targets import cloud

from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.mission.assessment import assess
from worker_pipeline.airside.mission.observation import LAST, Observation
from worker_pipeline.airside.mission.results import to_report, write_json
from worker_pipeline.airside.simulation.pads import Pad

PADS = [Pad(4, 10.0, 20.0), Pad(NO_LABEL, 0.0, 0.0), Pad(NO_LABEL, 30.0, 0.0)]
# Each error is below its standard deviation, 0.5 m.
ALL_FOUND = cloud((4, 10.0, 20.3), (NO_LABEL, 30.1, 0.0), (NO_LABEL, 0.0, 0.1), count=12)


def beside(east, north, deviation):
    """Return targets for all pads, marker 4 off by this much."""
    records = ALL_FOUND.copy()
    records[0]['x'], records[0]['y'] = 10.0 + east, 20.0 + north
    records[0]['var_east'] = records[0]['var_north'] = deviation**2
    return records


def flown(frames=100, answered=100, dropped=0, received=100, restarts=1):
    seen = Observation()
    seen.record_status('video_input', {'delivered': str(frames), 'dropped': '5'})
    seen.record_status('detect_target', {'delivered': str(answered), 'dropped': str(dropped)})
    seen.record_status('geolocation', {'redelivered': '2'})
    seen.record_status(LAST, {'delivered': str(answered)})
    seen.record_status('detect_target/worker_0', {'restarts': str(restarts)})
    for stamp in range(received):
        seen.record_output(LAST, stamp)
        seen.latencies.append(0.1 + 0.001 * stamp)
    return seen


def test_a_good_flight_has_no_problems():
    result = assess(PADS, ALL_FOUND, flown(), kills=1, acknowledged=3)
    assert not result.problems
    errors = [finding.error for finding in result.findings]
    assert errors == pytest.approx([0.3, 0.1, 0.1], abs=1e-5)
    books = result.accounting
    assert (books.frames_in, books.answered, books.missing) == (100, 100, 0)
    assert (books.dropped, books.redelivered) == (0, 2), 'a tick dropped is no frame'
    assert result.latency.median == pytest.approx(0.1495)
    assert result.latency.p99 == pytest.approx(0.19801)
    assert (result.kills, result.replacements, result.acknowledged) == (1, 1, 3)


@pytest.mark.parametrize(
    ('found', 'seen', 'kills', 'problem'),
    [
        (ALL_FOUND[1:], flown(), 1, 'marker 4 was not found'),
        (None, flown(), 1, 'marker 4 was not found'),
        (
            beside(1.0, 0.0, deviation=0.25),
            flown(),
            1,
            'off by 1.00 m, normalised squared error 16.0; allowed: 0.93 m by its own covariance',
        ),
        (
            beside(0.0, 6.0, deviation=2.0),
            flown(),
            1,
            'squared error 9.0; allowed: 7.43 m by its own covariance (13.8), and 5 m',
        ),
        (
            beside(0.0, 0.0, deviation=0.0),
            flown(),
            1,
            'marker 4: found covariance [[0.0, 0.0], [0.0, 0.0]] m^2; allowed: finite and positive',
        ),
        (
            beside(0.0, 6.0, deviation=0.0),
            flown(),
            1,
            'marker 4 is off by 6.00 m; allowed: 5 m',
        ),
        (beside(np.nan, 0.0, deviation=1.0), flown(), 1, 'marker 4 was not found'),
        (
            np.concatenate([ALL_FOUND, cloud((9, 1.0, 2.0))]),
            flown(),
            1,
            'marker 9 at 1.0 m east, 2.0 m north is not a pad',
        ),
        (ALL_FOUND, flown(answered=98), 1, '2 of 100 frames are unaccounted for'),
        (ALL_FOUND, flown(answered=99, received=100), 1, '99 frames were answered by the counters'),
        (ALL_FOUND, flown(0, 0, received=0), 0, 'no frame came in'),
        (ALL_FOUND, flown(restarts=1), 2, '2 workers were killed, 1 replaced'),
    ],
)
def test_every_broken_promise_is_a_problem(found, seen, kills, problem):
    assert any(problem in each for each in assess(PADS, found, seen, kills).problems)


def test_frames_that_were_not_searched_are_a_problem():
    """Nothing found in them says nothing of the ground."""
    seen = flown()
    seen.unsearched |= {3, 4}
    result = assess(PADS, ALL_FOUND, seen, 1)
    assert result.accounting.not_searched == 2
    assert result.problems == ['2 frames were not searched: their images were unreadable']


@pytest.mark.parametrize(('east', 'deviation'), [(1.0, 0.27), (2.9, 1.0)])
def test_the_allowed_error_follows_from_the_covariance(east, deviation):
    assert not assess(PADS, beside(east, 0.0, deviation), flown(), kills=1).problems


def test_the_ground_must_acknowledge_every_target():
    problems = assess(PADS, ALL_FOUND, flown(), kills=1, acknowledged=2).problems
    assert problems == ['the ground has acknowledged 2 of 3 targets']
    assert not assess(PADS, ALL_FOUND, flown(), kills=1, acknowledged=None).problems, (
        'there is no ground'
    )


def test_dropped_frames_are_accounted_for():
    assert not assess(PADS, ALL_FOUND, flown(answered=97, dropped=3, received=97), 1).problems


def test_repeated_disordered_and_lost_frames_are_problems():
    seen = flown()
    seen.record_output(LAST, 99)
    assert 'came twice' in assess(PADS, ALL_FOUND, seen, 1).problems[0]
    seen = flown(101, 101)
    seen.record_output(LAST, 1000)
    seen.record_output(LAST, 999)
    assert '1 out of order' in ' '.join(assess(PADS, ALL_FOUND, seen, 1).problems)
    seen = flown()
    seen.record_output('detect_target', 5000)
    assert '1 frames left a stage' in assess(PADS, ALL_FOUND, seen, 1).problems[0]


def test_a_pad_that_was_seldom_in_view_may_be_found_or_missed():
    seldom = Pad(9, 1.0, 2.0)
    result = assess(PADS, ALL_FOUND, flown(), kills=1, ground=[*PADS, seldom])
    assert not result.problems
    assert seldom not in [each.pad for each in result.findings]
    found = np.concatenate([ALL_FOUND, cloud((9, 1.0, 2.2), count=3)])
    result = assess(PADS, found, flown(), kills=1, ground=[*PADS, seldom])
    assert not result.problems
    assert result.findings[-1].pad == seldom
    found[-1]['y'] = 20.0
    result = assess(PADS, found, flown(), kills=1, ground=[*PADS, seldom])
    assert 'marker 9 is off by 18.00 m' in result.problems[0]


def test_without_kills_no_replacements_are_required():
    assert not assess(PADS, ALL_FOUND, flown(restarts=0), kills=0).problems


def test_the_report_contains_everything(tmp_path):
    result = assess(PADS, ALL_FOUND[:1], flown(), kills=1, acknowledged=1)
    write_json(tmp_path / 'report.json', to_report(result))
    report = json.loads((tmp_path / 'report.json').read_text())
    assert report['ok'] is False
    assert [pad['found'] for pad in report['pads']] == [True, False, False]
    assert report['frames']['frames_in'] == 100
    assert report['frames']['missing'] == 0
    assert (report['kills'], report['replacements'], report['told']) == (1, 1, 1)
    assert len(report['problems']) == 2
    found, missed, _ = report['pads']
    assert found['error'] == pytest.approx(0.3, abs=1e-5)
    assert found['normalised_squared_error'] == pytest.approx(0.36, abs=1e-4)
    assert missed['error'] is missed['normalised_squared_error'] is missed['estimate'] is None
    assert found['estimate'] == {
        'label': 4,
        'east': 10.0,
        'north': pytest.approx(20.3),
        'latitude': ALL_FOUND[0]['latitude'],
        'longitude': ALL_FOUND[0]['longitude'],
        'var_east': 0.25,
        'var_north': 0.25,
        'cov_east_north': 0.0,
        'deviation': 0.5,
        'scatter': 0.0,
        'sightings': 12,
    }
    assert to_report(assess(PADS, ALL_FOUND, flown(), 1))['ok'] is True


def test_non_finite_values_are_null_in_the_report(tmp_path):
    unsure = beside(0.0, 0.0, deviation=0.0)
    nowhere = cloud((9, np.nan, 2.0))
    result = assess(PADS, np.concatenate([unsure, nowhere]), flown(), kills=1)
    write_json(tmp_path / 'report.json', to_report(result))
    report = json.loads((tmp_path / 'report.json').read_text())
    pad = report['pads'][0]
    assert pad['found'] is True
    assert pad['error'] == 0.0
    assert pad['normalised_squared_error'] is pad['estimate']['deviation'] is None
    assert report['invented'][0]['east'] is None
    with pytest.raises(ValueError, match='JSON'):
        write_json(tmp_path / 'other.json', {'error': float('nan')})
