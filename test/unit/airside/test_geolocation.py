# SPDX-License-Identifier: Apache-2.0
"""Location of detections on the ground."""

from __future__ import annotations

import logging
import math

import numpy as np
import pymap3d
import pytest
from flown import CAMERA, MOUNTED, configured, detections_at, flown_odometry, on_ground, stamp_at

from worker_pipeline import ContextBuffer
from worker_pipeline.airside.data_merge import DataMerge
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.geometry.pinhole import CameraPose
from worker_pipeline.airside.geometry.rotations import (
    multiply,
    quaternion_from_euler,
    quaternion_from_rotation_vector,
    rotation_matrix,
)
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.records import OBSERVATION, POSE, POSE_VARIANCES
from worker_pipeline.airside.simulation.flight import SimulatedFlight

HEIGHT = 60.0  # m, of the vehicle


def observed(pixels, roll=0.0, pitch=0.0, **fields):
    """Return the observations of an image from a vehicle that hovers over the origin."""
    records = np.zeros(len(pixels), OBSERVATION)
    if len(pixels):
        records['u'], records['v'] = np.transpose(pixels)
    records['label'], records['confidence'] = 7, 0.75
    place = (0.0, 0.0, HEIGHT, *quaternion_from_euler(roll, pitch, 0.0))
    for name, value in zip(POSE, place, strict=True):
        records[name] = value
    for name in POSE_VARIANCES:
        records[name] = 1e-4
    for name, value in fields.items():
        records[name] = value
    message = point_cloud.to_message(records, 'camera')
    message.header.stamp = stamp_at(5.0)
    return message


def located(stage, message):
    return point_cloud.from_message(stage.process(message))


@pytest.mark.slow
def test_a_point_on_the_ground_is_located():
    """At a time between two odometry messages; the remaining error is that of interpolation."""
    time = 4.325
    pose = CameraPose.from_body(SimulatedFlight().state(time).pose, MOUNTED)
    truth = on_ground(pose, [[100, 100], [1800, 200], [960, 1100]])
    merge = configured(DataMerge(), {'max_wait': 0.0}, {'odometry': flown_odometry()})
    message = merge.process(detections_at(pose.project_points(CAMERA, truth), time))
    found = located(configured(Geolocation()), message)
    np.testing.assert_allclose(found['x'], truth[:, 0], atol=0.01)
    np.testing.assert_allclose(found['y'], truth[:, 1], atol=0.01)
    assert (found['z'] == 0).all()
    assert (found['label'] == 7).all()
    assert (found['confidence'] == 0.75).all()
    assert (found['var_east'] > 0).all()
    assert (found['var_north'] > 0).all()


@pytest.mark.slow
def test_distortion_is_undone():
    params = {'distortion': [-0.3, 0.1, 0.002, -0.001, 0.05]}
    camera = configured(Geolocation(), params)._locator.camera
    pose = CameraPose.from_body(SimulatedFlight().state(4.0).pose, MOUNTED)
    truth = on_ground(pose, [[100, 100], [1800, 200], [960, 1100]])
    merge = configured(DataMerge(), {'max_wait': 0.0}, {'odometry': flown_odometry()})
    message = merge.process(detections_at(pose.project_points(camera, truth), 4.0))
    found = located(configured(Geolocation(), params), message)
    np.testing.assert_allclose(np.column_stack([found['x'], found['y']]), truth[:, :2], atol=1e-4)
    without = located(configured(Geolocation()), message)
    assert np.hypot(without['x'] - truth[:, 0], without['y'] - truth[:, 1]).max() > 0.5


@pytest.mark.slow
def test_locations_from_noisy_odometry_scatter_as_their_covariance_predicts():
    """Through both stages, with the noise stated in the Odometry: chi-square of 2 degrees."""
    random = np.random.default_rng(3)
    odometry = flown_odometry(6.0, 6.0).latest()
    truth = SimulatedFlight().state(6.0).pose
    pose = CameraPose.from_body(truth, MOUNTED)
    (target,) = on_ground(pose, [[1850.0, 100.0]])
    deviations = np.array([0.5, 1.0, 2.0, 0.03, 0.01, 0.002])
    world_from_body = rotation_matrix(truth.orientation)
    covariance = np.diag(deviations**2)
    covariance[3:, 3:] = world_from_body @ covariance[3:, 3:] @ world_from_body.T
    odometry.pose.covariance = covariance.ravel()
    context = ContextBuffer()
    merge = configured(DataMerge(), {'max_wait': 0.0}, {'odometry': context})
    locate = configured(
        Geolocation(), {'mounting_attitude_deviation': 0.0, 'ground_height_deviation': 0.0}
    )
    squared = []
    for off in random.normal(size=(800, 6)) * deviations:
        place, turn = odometry.pose.pose.position, odometry.pose.pose.orientation
        place.x, place.y, place.z = truth.position + off[:3]
        turned = multiply(truth.orientation, quaternion_from_rotation_vector(off[3:]))
        turn.x, turn.y, turn.z, turn.w = turned
        context.add(odometry)
        pixel = pose.project_points(CAMERA, target)[0] + random.normal(size=2)
        (found,) = located(locate, merge.process(detections_at([pixel], 6.0)))
        error = np.array([found['x'], found['y']]) - target[:2]
        cov = found['cov_east_north']
        spread = np.array([[found['var_east'], cov], [cov, found['var_north']]])
        squared.append(error @ np.linalg.inv(spread) @ error)
    assert np.mean(squared) == pytest.approx(2.0, abs=5 * 2 / np.sqrt(800))
    assert np.mean(np.array(squared) < 4.605) == pytest.approx(0.9, abs=5 * 0.3 / np.sqrt(800))


@pytest.mark.parametrize(
    'origin', [(-33.0, 151.0, 40.0), (0.0, 180.0, 0.0), (78.2, 15.6, 500.0), (44.96, -110.6, 2000)]
)
def test_latitude_and_longitude_are_those_of_the_local_position(origin):
    names = ('origin_latitude', 'origin_longitude', 'origin_altitude')
    params = {'ground_height': 3.0, **dict(zip(names, origin, strict=True))}
    found = located(configured(Geolocation(), params), observed([[200, 300], [1900, 1100]]))
    for point in found:
        assert point['z'] == 3.0
        _, _, altitude = pymap3d.enu2geodetic(point['x'], point['y'], 3.0, *origin)
        again = pymap3d.geodetic2enu(point['latitude'], point['longitude'], altitude, *origin)
        np.testing.assert_allclose(again, [point['x'], point['y'], 3.0], atol=1e-5)


def test_only_a_detection_that_misses_the_ground_is_left_out():
    """The camera looks at the horizon: the upper half of the image is sky."""
    level = {'mounting_attitude': [0.0, 0.0, 0.0], 'min_descent': 0.01}
    stage = configured(Geolocation(), level)
    found = located(stage, observed([[960, 0], [960, 1199], [100, 10]]))
    assert len(found) == 1
    assert math.hypot(found['x'][0], found['y'][0]) > 50.0
    assert stage.status.values == {'unplaced_too_level': '2'}
    assert stage.status.level == 'warn'
    assert stage.status.message == 'unplaced: 2 of 3: too_level 2'
    located(stage, observed([[960, 1199]]))
    assert stage.status.level == 'ok'


NAN = math.nan
FOLDED = {'distortion': [-2.5, 0.0, 0.0, 0.0, 0.0]}
BAD_INPUT = {
    'pixel that is none': ('no_number', {}, {'u': NAN}),
    'position that is none': ('no_number', {}, {'pz': math.inf}),
    'attitude that is none': ('no_number', {}, {'qw': NAN}),
    'no attitude': ('no_number', {}, {'qx': 0, 'qy': 0, 'qz': 0, 'qw': 0}),
    'variance that is none': ('no_number', {}, {'var_yaw': NAN}),
    'variance below 0': ('no_number', {}, {'var_px': -1.0}),
    'right of the image': ('outside_image', {}, {'u': 1920.0}),
    'above the image': ('outside_image', {}, {'v': -0.6}),
    'past where the lens folds': ('not_undistorted', FOLDED, {'u': 5.0, 'v': 5.0}),
    'below the ground': ('below_ground', {'ground_height': 60.0}, {}),
    'above the horizon': ('too_level', {}, {'qx': 1.0, 'qw': 0.0}),
    'at a small angle': ('too_level', {'min_descent': 1.5}, {'u': 1800.0}),
}


@pytest.mark.parametrize(('reason', 'params', 'fields'), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_invalid_observations_are_left_out_with_a_reason(reason, params, fields, caplog):
    """Valid observations beside them are located."""
    stage = configured(Geolocation(), params)
    bad = point_cloud.from_message(observed([[959.5, 599.5]], **fields))
    good = point_cloud.from_message(observed([[959.5, 599.5]], pz=HEIGHT + 10.0))
    message = point_cloud.to_message(np.concatenate([bad, good]), 'camera')
    with caplog.at_level(logging.WARNING):
        found = located(stage, message)
    assert len(found) == 1
    np.testing.assert_allclose([found['x'][0], found['y'][0]], [0.0, 0.0], atol=1e-4)
    assert stage.status.values == {f'unplaced_{reason}': '1'}
    assert f'unplaced: 1 detections: {reason}' in caplog.text


def test_an_empty_cloud_gives_an_empty_cloud():
    stage = configured(Geolocation())
    message = stage.process(observed([]))
    assert message.width == 0
    assert message.header.frame_id == 'map'
    assert stage.status.values == {}


def test_a_cloud_with_a_missing_field_is_rejected_by_its_name():
    with pytest.raises(ValueError, match=r'missing: px, py, .*var_yaw'):
        configured(Geolocation()).process(detections_at([[1, 2]], 5.0))


def elevation_file(tmp_path, heights):
    """Return a grid of 10 m, with its centre at the origin."""
    rows, columns = np.shape(heights)
    path = tmp_path / 'hill.asc'
    lines = [
        f'ncols {columns}',
        f'nrows {rows}',
        f'xllcenter {-5 * (columns - 1)}',
        f'yllcenter {-5 * (rows - 1)}',
        'cellsize 10',
        'NODATA_value -9999',
        *(' '.join(str(each) for each in row) for row in heights),
    ]
    path.write_text('\n'.join(lines))
    return str(path)


def test_locations_follow_the_terrain(tmp_path):
    """A slope of 1 in 10 to the east, 0 at the origin."""
    slope = [[-2.0, -1.0, 0.0, 1.0, 2.0]] * 5
    stage = configured(Geolocation(), {'elevation_file': elevation_file(tmp_path, slope)})
    (found,) = located(stage, observed([[959.5, 599.5 + 500]], roll=0.1))
    assert found['z'] == pytest.approx(found['x'] / 10, abs=1e-5)
    assert found['z'] < -0.9
    flat = located(configured(Geolocation()), observed([[959.5, 599.5 + 500]], roll=0.1))
    assert found['x'] < flat['x'][0]


@pytest.mark.parametrize(('beyond', 'count'), [('drop', 1), ('ground_height', 2)])
def test_beyond_the_grid_observations_are_dropped_or_on_flat_ground(tmp_path, beyond, count):
    """One pixel is in the centre, one 23 m to the east, where the height is unknown."""
    path = elevation_file(tmp_path, [[5.0, 5.0], [5.0, 5.0]])
    params = {'elevation_file': path, 'beyond_elevation': beyond, 'ground_height': 1.0}
    stage = configured(Geolocation(), params)
    found = located(stage, observed([[959.5, 599.5], [959.5, 0.0]]))
    assert list(found['z']) == [5.0, 1.0][:count]
    dropped = {} if count == 2 else {'unplaced_beyond_elevation': '1'}
    assert stage.status.values == dropped


def test_an_unusable_elevation_file_is_reported(tmp_path):
    for name, expected in (('none.asc', 'No such file'), ('', 'found no ncols')):
        path = tmp_path / (name or 'empty.asc')
        if not name:
            path.write_text('a b c\n')
        with pytest.raises(ValueError, match=f'elevation_file: .*{expected}'):
            configured(Geolocation(), {'elevation_file': str(path)})
