# SPDX-License-Identifier: Apache-2.0
"""The records that travel as point clouds: detections, observations, locations, targets.

A label is a marker's number, or :data:`NO_LABEL` for a pad that carries none.
"""

from __future__ import annotations

import numpy as np

NO_LABEL = -1

# Detected in an image. x1 y1 x2 y2: the bounding box; u v: the centre, the point that is located
# (under perspective it differs from the centre of the box); all in pixels. An oriented box has the
# sides size_x and size_y (pixels), turned by angle (rad) from the image's u towards v; an upright
# one has zeros there.
DETECTION = np.dtype(
    [
        ('x1', 'f4'),
        ('y1', 'f4'),
        ('x2', 'f4'),
        ('y2', 'f4'),
        ('u', 'f4'),
        ('v', 'f4'),
        ('label', 'i4'),
        ('confidence', 'f4'),
        ('angle', 'f4'),
        ('size_x', 'f4'),
        ('size_y', 'f4'),
    ]
)
# The values of an upright box in the last fields.
UPRIGHT = (0.0, 0.0, 0.0)
# Fields that a cloud may lack, of a node or a recording without them; they are then 0.
OPTIONAL = frozenset({'angle', 'size_x', 'size_y'})

# A detection and the pose of the vehicle. px py pz: position, m, ENU; qx qy qz qw: attitude, world
# from body (FLU). var_px var_py var_pz: m^2, of the position; var_roll var_pitch var_yaw: rad^2, of
# small rotations about the body's axes.
POSE = ('px', 'py', 'pz', 'qx', 'qy', 'qz', 'qw')
POSE_VARIANCES = ('var_px', 'var_py', 'var_pz', 'var_roll', 'var_pitch', 'var_yaw')
OBSERVATION = np.dtype(
    [
        *DETECTION.descr,
        *((name, 'f8') for name in POSE),
        *((name, 'f4') for name in POSE_VARIANCES),
    ]
)

# Located on the ground. x y z: m, ENU (float32 is a tenth of a millimetre at a kilometre); latitude
# longitude: degrees, WGS 84. var_east var_north cov_east_north: m^2, of x and y.
LOCATION = np.dtype(
    [
        ('x', 'f4'),
        ('y', 'f4'),
        ('z', 'f4'),
        ('label', 'i4'),
        ('latitude', 'f8'),
        ('longitude', 'f8'),
        ('confidence', 'f4'),
        ('var_east', 'f4'),
        ('var_north', 'f4'),
        ('cov_east_north', 'f4'),
    ]
)

# Estimated from many locations. The covariance is that of the estimate; variance: m^2, of one
# sighting about the estimate, the mean of east and north; count: sightings.
TARGET = np.dtype([*LOCATION.descr, ('variance', 'f4'), ('count', 'u4')])
