# SPDX-License-Identifier: Apache-2.0
"""The calibration of a camera."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import yaml

from worker_pipeline.airside.cameras import camera_info
from worker_pipeline.airside.geometry.pinhole import INTRINSICS
from worker_pipeline.parameter import check_parameters

# As camera_calibration writes it.
CALIBRATION = {
    'image_width': 640,
    'image_height': 480,
    'camera_name': 'narrow_stereo',
    'camera_matrix': {'rows': 3, 'cols': 3, 'data': [431.5, 0, 312.25, 0, 430.5, 235.5, 0, 0, 1]},
    'distortion_model': 'plumb_bob',
    'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [-0.36, 0.11, 0.001, -0.0005, 0]},
    'rectification_matrix': {'rows': 3, 'cols': 3, 'data': [1, 0, 0, 0, 1, 0, 0, 0, 1]},
    'projection_matrix': {
        'rows': 3,
        'cols': 4,
        'data': [350.5, 0, 305.5, 0, 0, 395.5, 233.25, 0, 0, 0, 1, 0],
    },
}


def written(tmp_path, content):
    path = tmp_path / 'camera.yaml'
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_camera_info_matches_the_parameters():
    given = {
        'width': 640,
        'height': 480,
        'focal_length': [500.0, 510.0],
        'principal_point': [320.0, 240.0],
        'distortion': [-0.3, 0.1, 0.01, 0.02, 0.03],
    }
    info = camera_info.from_parameters(check_parameters(INTRINSICS, given))
    assert camera_info.image_size(info) == (640, 480)
    assert (info.distortion_model, [*info.d]) == ('plumb_bob', given['distortion'])
    assert [*info.k] == [500, 0, 320, 0, 510, 240, 0, 0, 1]
    np.testing.assert_array_equal(info.r.reshape(3, 3), np.eye(3))
    np.testing.assert_array_equal(info.p.reshape(3, 4)[:, :3], info.k.reshape(3, 3))
    assert not info.p.reshape(3, 4)[:, 3].any()


@pytest.mark.parametrize('lens', [[0.1], [0.0] * 4 + [float('nan')]])
def test_an_invalid_lens_is_rejected(lens):
    with pytest.raises(ValueError, match=r'distortion: found \[.*\]; allowed: 5'):
        camera_info.from_parameters(check_parameters(INTRINSICS, {'distortion': lens}))


def test_camera_info_matches_the_calibration_file(tmp_path):
    info = camera_info.from_file(written(tmp_path, CALIBRATION))
    assert camera_info.image_size(info) == (640, 480)
    assert info.distortion_model == 'plumb_bob'
    for found, name in ((info.d, 'distortion_coefficients'), (info.k, 'camera_matrix')):
        assert [*found] == CALIBRATION[name]['data']
    for found, name in ((info.r, 'rectification_matrix'), (info.p, 'projection_matrix')):
        assert [*found] == CALIBRATION[name]['data']


def changed(*keys, value):
    content = copy.deepcopy(CALIBRATION)
    within = content
    for key in keys[:-1]:
        within = within[key]
    within[keys[-1]] = value
    return content


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        ('{', 'not YAML'),
        ('a list', 'distortion_model is missing'),
        (changed('distortion_model', value='fisheye'), "distortion_model: found 'fisheye'"),
        (changed('distortion_model', value=['plumb_bob']), 'distortion_model: found'),
        (changed('image_width', value=-640), 'image_width: found -640; allowed: a number of'),
        (changed('image_height', value='480'), "image_height: found '480'"),
        (changed('camera_matrix', value=[1.0]), 'camera_matrix: found None; allowed: data: 9'),
        (changed('camera_matrix', 'data', value=[0] * 9), 'camera_matrix: .*focal lengths above'),
        (changed('projection_matrix', 'data', value=[float('inf')] * 12), 'data: 12 finite'),
        (changed('distortion_coefficients', 'data', value=[0] * 8), 'data: 5 finite numbers'),
    ],
)
def test_an_invalid_calibration_is_rejected(tmp_path, content, text):
    with pytest.raises(ValueError, match=rf'calibration_file: .*camera.yaml: .*{text}'):
        camera_info.from_file(written(tmp_path, content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OSError, match=r'calibration_file: .*No such file.*none.yaml'):
        camera_info.from_file(str(tmp_path / 'none.yaml'))
