# SPDX-License-Identifier: Apache-2.0
"""Invalid input affects only itself: the stage continues, reports it, and counts it.

These are the properties that several stages share; others are in the tests of each stage.
"""

from __future__ import annotations

import array
import copy
import math

import numpy as np
import pytest
from flown import configured, detections_at, flown_odometry, stamp_at
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import PointCloud2, PointField
from targets import cloud

from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.communications import Communications
from worker_pipeline.airside.data_merge import DataMerge
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.records import (
    DETECTION,
    LOCATION,
    OBSERVATION,
    OPTIONAL,
    POSE_VARIANCES,
    TARGET,
)

NAN, INF = math.nan, math.inf
UNUSABLE = {'cluster_estimation': 'locations', 'communications': 'targets'}
# The stages that take a cloud, their records, and parameters that let one item report.
STAGES = {
    'data_merge': (DataMerge, DETECTION, {}),
    'geolocation': (Geolocation, OBSERVATION, {}),
    'cluster_estimation': (ClusterEstimation, LOCATION, {'min_sightings': 1}),
    'communications': (Communications, TARGET, {}),
}
ODOMETRY = flown_odometry()


def made(name):
    kind, _, params = STAGES[name]
    context = {'odometry': ODOMETRY} if name == 'data_merge' else None
    return configured(kind(), params, context)


def good(name, label=1):
    """Return a valid record; each label has a position of its own."""
    if name == 'data_merge':
        return point_cloud.from_message(
            detections_at([[960.0 + 400.0 * (label - 1), 600.0]], 5.0, label)
        ).copy()
    record = np.zeros(1, STAGES[name][1])
    if name == 'geolocation':
        record['u'], record['v'], record['pz'], record['qw'] = 960.0, 600.0, 40.0, 1.0
        record['px'] = 10.0 * (label - 1)
        record[list(POSE_VARIANCES)] = tuple(0.01 for _ in POSE_VARIANCES)
    else:
        for field in LOCATION.names:
            record[field] = cloud((label, 10.0 * label, 4.0))[field]
    if name == 'communications':
        record['count'], record['variance'] = 3, 0.25
    record['label'], record['confidence'] = label, 0.75
    return record


def item(records, time=5.0):
    message = point_cloud.to_message(records, 'map')
    message.header.stamp = stamp_at(time)
    return message


def answered(stage, records, time=5.0):
    return point_cloud.from_message(stage.process(item(records, time)))


@pytest.mark.parametrize('name', STAGES)
def test_an_empty_cloud_is_accepted_with_or_without_fields(name):
    """Without a warning."""
    stage = made(name)
    bare = PointCloud2()
    bare.header.stamp = stamp_at(5.0)
    for empty in (bare, item(np.zeros(0, STAGES[name][1]))):
        assert stage.process(empty).width == 0
    assert stage.status.snapshot() == ('ok', '', {})
    assert len(answered(stage, good(name))) == 1


@pytest.mark.parametrize('name', STAGES)
def test_a_cloud_with_missing_fields_is_an_error(name):
    """The error names them; the next cloud is unaffected."""
    stage = made(name)
    for field in STAGES[name][1].names:
        if name == 'cluster_estimation' and field not in ('x', 'label', 'confidence'):
            continue  # works without a covariance
        if name == 'communications' and field == 'variance':
            continue
        if field in OPTIONAL:
            continue  # upright boxes have none
        record = good(name)
        kept = [each for each in record.dtype.names if each != field]
        with pytest.raises(ValueError, match=rf'fields: found .*: .*\b{field}\b'):
            stage.process(item(np.array(record[kept].tolist(), [(k, 'f8') for k in kept])))
    assert len(answered(stage, good(name), 6.0)) == 1


@pytest.mark.parametrize('name', STAGES)
def test_a_non_finite_integer_field_is_an_error(name):
    """A foreign cloud may have its labels as floats."""
    stage = made(name)
    record = good(name)
    floats = record.astype([(each, 'f8') for each in record.dtype.names])
    assert len(answered(made(name), floats)) == 1
    floats['label'] = NAN
    if name in ('data_merge', 'geolocation'):
        with pytest.raises(ValueError, match='label: found a value that is not finite'):
            stage.process(item(floats))
    else:
        stage.process(item(floats))
        assert stage.status.values == {f'unusable_{UNUSABLE[name]}': '1'}
    assert len(answered(stage, record, 6.0)) == 1


# Stages that count non-finite values: the fields, how often, and under which key.
NO_NUMBERS = [
    ('geolocation', {'u': NAN}, 'unplaced_no_number'),
    ('geolocation', {'px': 1e30}, 'unplaced_too_far'),
    ('geolocation', {'pz': 1e30}, 'unplaced_too_far'),
    ('geolocation', {'pz': 3e5}, 'unplaced_too_far'),
    ('geolocation', {'var_px': 1e38}, 'unplaced_too_far'),
    ('cluster_estimation', {'confidence': NAN}, 'unusable_locations'),
    ('cluster_estimation', {'z': INF}, 'unusable_locations'),
    ('cluster_estimation', {'latitude': 91.0}, 'unusable_locations'),
    ('cluster_estimation', {'longitude': -180.1}, 'unusable_locations'),
    ('communications', {'z': NAN}, 'unusable_targets'),
    ('communications', {'var_east': INF}, 'unusable_targets'),
    ('communications', {'latitude': 91.0}, 'unusable_targets'),
    ('communications', {'longitude': 300.0}, 'unusable_targets'),
]


@pytest.mark.parametrize(('name', 'fields', 'key'), NO_NUMBERS)
def test_only_an_invalid_record_is_left_out_reported_and_counted(name, fields, key, caplog):
    stage = made(name)
    bad = good(name, label=2)
    for field, value in fields.items():
        bad[field] = value
    output = answered(stage, np.concatenate([bad, good(name)]))
    if name == 'communications':
        assert [each.label for each in stage._store.reports] == [1]
        assert 'targets: 1 of 2 left out' in caplog.text
    else:
        assert output['label'].tolist() == [1]
        assert stage.status.level == 'warn'
        assert '1 of 2' in stage.status.message
    assert stage.status.values == {key: '1'}
    answered(stage, good(name), 6.0)
    assert stage.status.level == 'ok'
    assert stage.status.values == {key: '1'}


def test_a_non_finite_detection_passes_until_a_stage_needs_its_values():
    """An invalid box is harmless; an invalid centre has no location."""
    for field in ('x1', 'y1', 'x2', 'y2', 'u', 'v', 'confidence'):
        bad = good('data_merge', label=2)
        bad[field] = NAN
        merge, locate, gather = made('data_merge'), made('geolocation'), made('cluster_estimation')
        merged = answered(merge, np.concatenate([bad, good('data_merge')]))
        assert len(merged) == 2
        located = answered(locate, merged)
        assert len(located) == (1 if field in ('u', 'v') else 2)
        gathered = answered(gather, located)
        assert gathered['label'].tolist() == ([1, 2] if field[0] in 'xy' else [1])
        counted = locate.status.values | gather.status.values
        assert len(counted) == (0 if field[0] in 'xy' else 1)


SPECIAL = (NAN, INF, -INF, 0.0, -1.0, 1e-40, 91.0, 1e5, 1e10, 1e20, 1e38, -1e38)


@given(st.data())
def test_valid_records_beside_any_values_give_finite_output(data):
    name = data.draw(st.sampled_from(list(STAGES)))
    bad = good(name, label=2)
    floats = [each for each in bad.dtype.names if bad.dtype[each].kind == 'f']
    for field in data.draw(st.lists(st.sampled_from(floats), min_size=1, max_size=3)):
        bad[field] = data.draw(st.sampled_from(SPECIAL))
    stage = made(name)
    both = np.concatenate([bad, good(name)])
    for time in (5.0, 5.1):
        output = answered(stage, both, time)
        assert 1 in output['label'].tolist()
        alike = output[output['label'] == 1]
        assert all(np.isfinite(alike[each]).all() for each in alike.dtype.names)
        if name in ('geolocation', 'cluster_estimation'):  # these two compute their output
            own = [each for each in output.dtype.names if each != 'confidence']
            assert all(np.isfinite(output[each]).all() for each in own)
    stage.save_state()


@given(
    st.lists(
        st.builds(
            PointField,
            name=st.sampled_from(['x', 'y', 'label', '']),
            offset=st.sampled_from([0, 4, 8, 2**32 - 1]),
            datatype=st.integers(0, 9),
            count=st.integers(0, 2),
        ),
        max_size=3,
    ),
    st.sampled_from([0, 1, 8, 2**32 - 1]),
    st.sampled_from([0, 1, 3, 2**32 - 1]),
    st.sampled_from([0, 1, 2**32 - 1]),
    st.integers(0, 40),
)
def test_an_inconsistent_cloud_is_a_valueerror_or_harmless(fields, step, width, height, size):
    message = PointCloud2(width=width, height=height, point_step=step, fields=fields)
    message.data = array.array('B', bytes(size))
    try:
        records = point_cloud.from_message(message)
    except ValueError:
        return
    assert len(records) == width * height


HOLE = {'a hole': 2, 'nothing but holes': 5}


@pytest.mark.parametrize('size', HOLE.values(), ids=HOLE)
@pytest.mark.parametrize('beyond', ['drop', 'ground_height'])
def test_missing_elevation_drops_the_observation_or_uses_flat_ground(tmp_path, size, beyond):
    """The height below the camera is unknown: only detections there are affected.

    A grid of 5 x 5 nodes, 10 m apart around the origin; the camera sees 23 m to the east.
    """
    heights = np.full((5, 5), 5.0)
    margin = (5 - size) // 2
    heights[margin : margin + size, margin : margin + size] = -9999
    path = tmp_path / 'ground.asc'
    header = 'ncols 5\nnrows 5\nxllcenter -20\nyllcenter -20\ncellsize 10\nNODATA_value -9999\n'
    path.write_text(header + '\n'.join(' '.join(map(str, row)) for row in heights))
    params = {'elevation_file': str(path), 'beyond_elevation': beyond, 'ground_height': 1.0}
    stage = configured(Geolocation(), params)
    observed = np.repeat(good('geolocation'), 2)
    observed['px'][1], observed['label'] = 18.0, [1, 2]  # above the second last nodes
    located = answered(stage, observed)
    expected = {1: 1.0} if beyond == 'ground_height' else {}
    if size == 2:
        expected[2] = 5.0
    elif beyond == 'ground_height':
        expected[2] = 1.0
    assert dict(zip(located['label'].tolist(), located['z'].tolist(), strict=True)) == expected
    missing = 2 - len(expected)
    counted = {'unplaced_beyond_elevation': str(missing)} if missing else {}
    assert stage.status.values == counted


def test_images_whose_clock_is_set_back_are_still_answered():
    """By every stage; and no estimate becomes more certain by it."""
    for name in STAGES:
        stage = made(name)
        sure = []
        for time in (5.0, 5.1, 1.0, 1.1):
            output = answered(stage, good(name), time)
            assert len(output) == 1
            if name == 'cluster_estimation':
                sure.append(float(output['var_east'][0]))
        assert stage.status.level == 'ok'
        assert sure == sorted(sure, reverse=True)
        if sure:
            assert sure[-1] > sure[0] / 4  # four sightings with the same error


def test_non_finite_odometry_affects_only_its_own_time():
    """NaN in pose or covariance of one message, between valid ones."""
    around = [ODOMETRY.nearest(stamp_at(time)) for time in (4.95, 5.0, 5.05)]
    for part, field in (('position', 'y'), ('orientation', 'z')):
        bad = copy.deepcopy(around[1])
        setattr(getattr(bad.pose.pose, part), field, NAN)
        stage = made('data_merge')
        buffer = type(ODOMETRY)()
        for each in (around[0], bad, around[2]):
            buffer.add(each)
        stage.context = {'odometry': buffer}
        for time in (4.96, 5.04):
            (found,) = answered(stage, good('data_merge'), time)
            assert all(math.isfinite(found[each]) for each in found.dtype.names)
        assert answered(stage, good('data_merge'), 5.0).size == 0
        assert stage.status.values == {'extrapolated': '2', 'unmerged_no_number': '1'}


@pytest.mark.parametrize('name', ['data_merge', 'geolocation'])
def test_an_image_that_was_not_searched_stays_one(name):
    """It differs from one in which nothing was found, up to the targets."""
    stage = made(name)
    unsearched = point_cloud.not_searched(STAGES[name][1], 'camera')
    answer = stage.process(unsearched)
    assert not point_cloud.is_searched(answer)
    assert len(point_cloud.from_message(answer)) == 0
    found_nothing = point_cloud.to_message(np.empty(0, STAGES[name][1]), 'camera')
    assert point_cloud.is_searched(stage.process(found_nothing))
