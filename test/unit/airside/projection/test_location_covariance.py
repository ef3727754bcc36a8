# SPDX-License-Identifier: Apache-2.0
"""The covariance of a location, against random draws of all its inputs."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from flown import CAMERA, MOUNTED

from worker_pipeline.airside.geometry.distortion import LensDistortion
from worker_pipeline.airside.geometry.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import (
    multiply,
    quaternion_from_euler,
    quaternion_from_rotation_vector,
    rotation_matrix,
)
from worker_pipeline.airside.projection.elevation import ElevationGrid
from worker_pipeline.airside.projection.ground import FlatGround, Ground
from worker_pipeline.airside.projection.location_covariance import (
    Deviations,
    GroundIntersection,
    location_jacobian,
)
from worker_pipeline.airside.projection.locator import Locator

SLOPE = Ground(
    ElevationGrid(0.2 * np.arange(-300.0, 301.0, 100.0) * np.ones((7, 1)), -300.0, -300.0, 100.0)
)
ASKEW = Mounting(
    np.array([0.4, -0.2, -0.1]),
    rotation_matrix(quaternion_from_euler(0.1, 0.05, -0.2)) @ MOUNTED.rotation,
)
LENS = attrs.evolve(CAMERA, distortion=LensDistortion(-0.3, 0.1, 0.002, -0.001, 0.05))
SCENES = {
    'straight down': (CAMERA, MOUNTED, FlatGround(0.0), (0.0, 0.0, 0.0), (960.0, 600.0)),
    'in a corner': (CAMERA, MOUNTED, FlatGround(-3.0), (0.1, -0.15, 0.7), (30.0, 1150.0)),
    'through a lens': (LENS, ASKEW, FlatGround(2.0), (0.1, 0.2, -2.0), (100.0, 100.0)),
    'on a slope': (LENS, ASKEW, SLOPE, (-0.1, 0.3, 1.1), (1500.0, 200.0)),
}
DEVIATIONS = Deviations(pixel=2.0, mounting=0.004, ground=0.3)
VARIANCES = np.array([0.4, 0.2, 0.6, 2e-5, 5e-5, 8e-5])
ALL_VARIANCES = np.array([*[2.0**2] * 2, *VARIANCES, *[0.004**2] * 3, 0.3**2])
SAMPLES = 4000


@attrs.frozen
class Scene:
    """One pixel over one ground, and its location for given input errors."""

    camera: PinholeCamera
    mounting: Mounting
    ground: FlatGround | Ground
    attitude: tuple[float, float, float]
    pixel: tuple[float, float]

    @property
    def body(self):
        return Pose(np.array([5.0, -8.0, 70.0]), quaternion_from_euler(*self.attitude))

    def point(self, off):
        """Return (3,), m, independently of the locator, for 12 errors in the jacobian's order."""
        turned = multiply(self.body.orientation, quaternion_from_rotation_vector(off[5:8]))
        body = Pose(self.body.position + off[2:5], turned)
        tilted = rotation_matrix(quaternion_from_rotation_vector(off[8:11]))
        mounting = Mounting(self.mounting.position, tilted @ self.mounting.rotation)
        pose = CameraPose.from_body(body, mounting)
        ray = pose.directions(self.camera.rays(np.array(self.pixel) + off[:2]))[0]
        # Higher ground is equivalent to a lower camera.
        raised = np.array([0.0, 0.0, off[11]])
        return self.ground.intersect(pose.position - raised, ray) + raised

    def locator(self, deviations=DEVIATIONS):
        return Locator(self.camera, self.mounting, self.ground, 0.1, deviations)

    def locate(self):
        return self.locator().locate(np.array(self.pixel), self.body, VARIANCES)


@pytest.fixture(params=SCENES.values(), ids=SCENES.keys())
def scene(request):
    return Scene(*request.param)


def test_the_location_is_that_of_the_pixel(scene):
    np.testing.assert_allclose(scene.locate().point, scene.point(np.zeros(12)), atol=1e-9)


def test_the_jacobian_is_the_derivative(scene):
    pose = CameraPose.from_body(scene.body, scene.mounting)
    rays = scene.camera.rays(scene.pixel)
    point = scene.point(np.zeros(12))
    intersection = GroundIntersection(
        ray=rays[0],
        ray_jacobian=scene.camera.ray_jacobians(rays)[0],
        world_from_body=rotation_matrix(scene.body.orientation),
        reach=np.linalg.norm(point - pose.position) / np.linalg.norm(rays[0]),
        normal=scene.ground.normal(point[0], point[1]),
    )
    steps = np.eye(12) * 1e-5
    numerical = [(scene.point(step) - scene.point(-step))[:2] / 2e-5 for step in steps]
    jacobian = location_jacobian(intersection, scene.mounting)
    np.testing.assert_allclose(jacobian, np.transpose(numerical), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_random_locations_scatter_as_the_covariance_predicts(scene):
    """The normalised squared errors are chi-square distributed; variances and correlation agree.

    Within 6 standard deviations for this number of draws.
    """
    random = np.random.default_rng(7)
    place = scene.locate()
    offs = random.normal(size=(SAMPLES, 12)) * np.sqrt(ALL_VARIANCES)
    errors = np.array([scene.point(off)[:2] for off in offs]) - place.point[:2]
    squared = np.einsum('ni,ij,nj->n', errors, np.linalg.inv(place.covariance), errors)
    assert squared.mean() == pytest.approx(2.0, abs=6 * 2 / np.sqrt(SAMPLES))
    for quantile, bound in ((0.5, 1.386), (0.9, 4.605), (0.99, 9.210)):
        share = np.mean(squared < bound)
        allowed = 6 * np.sqrt(quantile * (1 - quantile) / SAMPLES)
        assert share == pytest.approx(quantile, abs=allowed)
    spread = np.sqrt(np.diag(place.covariance))
    np.testing.assert_allclose(
        np.cov(errors.T) / np.outer(spread, spread),
        place.covariance / np.outer(spread, spread),
        atol=6 * np.sqrt(2 / SAMPLES),
    )


def test_each_source_contributes():
    """Straight down from 70 m, calculated manually."""
    scene = Scene(*SCENES['straight down'])
    centre = np.array([CAMERA.cx, CAMERA.cy])
    nothing, no_deviations = np.zeros(6), Deviations(0.0, 0.0, 0.0)

    def spread(variances=nothing, deviations=no_deviations):
        place = scene.locator(deviations).locate(centre, scene.body, variances)
        assert abs(place.covariance[0, 1]) < 1e-9
        return np.sqrt(np.diag(place.covariance))

    np.testing.assert_allclose(spread(np.array([4.0, 9.0, 16.0, 0, 0, 0])), [2.0, 3.0])
    np.testing.assert_allclose(spread(np.array([0, 0, 0, 1e-4, 1e-4, 1e-4])), [0.7, 0.7], rtol=1e-6)
    np.testing.assert_allclose(spread(deviations=Deviations(0.0, 0.01, 0.0)), [0.7, 0.7])
    np.testing.assert_allclose(spread(deviations=Deviations(0.0, 0.0, 5.0)), 0.0, atol=1e-6)
    np.testing.assert_allclose(spread(deviations=Deviations(1.0, 0.0, 0.0)), 70 / 2854.7)
