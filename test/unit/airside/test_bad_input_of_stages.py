"""What comes in bad costs itself alone: the stage goes on, says so, and counts it.

Here is what holds for several stages alike; what is one stage's own is in its own test.
"""

from __future__ import annotations

import array
import copy
import math

import numpy as np
import pytest
from flown import flown_odometry, ready, seen, stamp_at
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import PointCloud2, PointField
from targets import cloud

from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.cluster_estimation import ClusterEstimation
from worker_pipeline.airside.communications import Communications
from worker_pipeline.airside.data_merge import DataMerge
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.records import DETECTION, LOCATION, OBSERVATION, POSE_VARIANCES, TARGET

NAN, INF = math.nan, math.inf
# Each that takes a cloud, of what records, with the parameters that let one item tell.
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
    return ready(kind(), params, context)


def good(name, label=1):
    """One record that is as it should be; each label has a place of its own."""
    if name == 'data_merge':
        return point_cloud.from_message(
            seen([[960.0 + 400.0 * (label - 1), 600.0]], 5.0, label)
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
def test_no_points_are_no_points_with_fields_or_without(name):
    """And complain of nothing."""
    stage = made(name)
    bare = PointCloud2()
    bare.header.stamp = stamp_at(5.0)
    for empty in (bare, item(np.zeros(0, STAGES[name][1]))):
        assert stage.process(empty).width == 0
    assert stage.status.told() == ('ok', '', {})
    assert len(answered(stage, good(name))) == 1


@pytest.mark.parametrize('name', STAGES)
def test_a_cloud_without_its_fields_is_an_error_of_its_own(name):
    """It names them; the next cloud is none the worse for it."""
    stage = made(name)
    for field in STAGES[name][1].names:
        if name == 'cluster_estimation' and field not in ('x', 'label', 'confidence'):
            continue  # it can do without a covariance
        if name == 'communications' and field == 'variance':
            continue
        record = good(name)
        kept = [each for each in record.dtype.names if each != field]
        with pytest.raises(ValueError, match=rf'fields: found .*: .*\b{field}\b'):
            stage.process(item(np.array(record[kept].tolist(), [(k, 'f8') for k in kept])))
    assert len(answered(stage, good(name), 6.0)) == 1


@pytest.mark.parametrize('name', STAGES)
def test_a_whole_number_that_is_none(name):
    """Somebody else's cloud has its labels as floats."""
    stage = made(name)
    record = good(name)
    floats = record.astype([(each, 'f8') for each in record.dtype.names])
    assert len(answered(made(name), floats)) == 1
    floats['label'] = NAN
    if name in ('data_merge', 'geolocation'):
        with pytest.raises(ValueError, match='label: found what is no number'):
            stage.process(item(floats))
    else:
        stage.process(item(floats))
        assert stage.status.values['refused'] == '1'
    assert len(answered(stage, record, 6.0)) == 1


# Of which stages a float counts that is none, how often and under which key.
NO_NUMBERS = [
    ('geolocation', {'u': NAN}, 'unplaced_no_number'),
    ('geolocation', {'px': 1e30}, 'unplaced_too_far'),
    ('geolocation', {'pz': 1e30}, 'unplaced_too_far'),
    ('geolocation', {'pz': 3e5}, 'unplaced_too_far'),
    ('geolocation', {'var_px': 1e38}, 'unplaced_too_far'),
    ('cluster_estimation', {'confidence': NAN}, 'refused'),
    ('cluster_estimation', {'z': INF}, 'refused'),
    ('cluster_estimation', {'latitude': 91.0}, 'refused'),
    ('cluster_estimation', {'longitude': -180.1}, 'refused'),
    ('communications', {'z': NAN}, 'refused'),
    ('communications', {'var_east': INF}, 'refused'),
    ('communications', {'latitude': 91.0}, 'refused'),
    ('communications', {'longitude': 300.0}, 'refused'),
]


@pytest.mark.parametrize(('name', 'fields', 'key'), NO_NUMBERS)
def test_what_cannot_be_is_left_out_alone_told_and_counted(name, fields, key, caplog):
    stage = made(name)
    bad = good(name, label=2)
    for field, value in fields.items():
        bad[field] = value
    told = answered(stage, np.concatenate([bad, good(name)]))
    if name == 'communications':
        assert [each.label for each in stage._book.reports] == [1]
        assert 'targets: 1 of 2 left out' in caplog.text
    else:
        assert told['label'].tolist() == [1]
        assert stage.status.level == 'warn'
        assert '1 of 2' in stage.status.message
    assert stage.status.values == {key: '1'}
    answered(stage, good(name), 6.0)
    assert stage.status.level == 'ok'
    assert stage.status.values == {key: '1'}


def test_a_detection_that_is_no_number_goes_as_far_as_it_is_missed():
    """A box that is none is nobody's loss; a centre that is none has no place."""
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
def test_whatever_the_numbers_what_is_good_beside_them_is_answered_in_numbers(data):
    name = data.draw(st.sampled_from(list(STAGES)))
    bad = good(name, label=2)
    floats = [each for each in bad.dtype.names if bad.dtype[each].kind == 'f']
    for field in data.draw(st.lists(st.sampled_from(floats), min_size=1, max_size=3)):
        bad[field] = data.draw(st.sampled_from(SPECIAL))
    stage = made(name)
    both = np.concatenate([bad, good(name)])
    for time in (5.0, 5.1):
        told = answered(stage, both, time)
        assert 1 in told['label'].tolist()
        alike = told[told['label'] == 1]
        assert all(np.isfinite(alike[each]).all() for each in alike.dtype.names)
        if name in ('geolocation', 'cluster_estimation'):  # which make what they tell
            own = [each for each in told.dtype.names if each != 'confidence']
            assert all(np.isfinite(told[each]).all() for each in own)
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
def test_a_cloud_that_makes_no_sense_is_a_valueerror_or_none(fields, step, width, height, size):
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
def test_where_the_elevation_has_no_data(tmp_path, size, beyond):
    """Below the camera nothing is known: only what is seen there drops out, or is on flat ground.

    A grid of 5 x 5 nodes, 10 m apart about the origin; the camera sees 23 m to the east.
    """
    heights = np.full((5, 5), 5.0)
    margin = (5 - size) // 2
    heights[margin : margin + size, margin : margin + size] = -9999
    path = tmp_path / 'ground.asc'
    header = 'ncols 5\nnrows 5\nxllcenter -20\nyllcenter -20\ncellsize 10\nNODATA_value -9999\n'
    path.write_text(header + '\n'.join(' '.join(map(str, row)) for row in heights))
    params = {'elevation_file': str(path), 'beyond_elevation': beyond, 'ground_height': 1.0}
    stage = ready(Geolocation(), params)
    observed = np.repeat(good('geolocation'), 2)
    observed['px'][1], observed['label'] = 18.0, [1, 2]  # above the last nodes but one
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


def test_images_whose_clock_is_set_back_are_answered_all_the_same():
    """By every stage; and no estimate becomes surer by it."""
    for name in STAGES:
        stage = made(name)
        sure = []
        for time in (5.0, 5.1, 1.0, 1.1):
            told = answered(stage, good(name), time)
            assert len(told) == 1
            if name == 'cluster_estimation':
                sure.append(float(told['var_east'][0]))
        assert stage.status.level == 'ok'
        assert sure == sorted(sure, reverse=True)
        if sure:
            assert sure[-1] > sure[0] / 4  # four sightings that share their error


def test_odometry_that_is_no_number_costs_no_more_than_its_moment():
    """NaN in pose or covariance of one message, between others that are good."""
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
