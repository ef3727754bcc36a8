# SPDX-License-Identifier: Apache-2.0
"""A peer: the method of the forerunner of the airside stages, for comparison of accuracy.

The nearest odometry instead of an interpolated one; a pinhole without distortion; the centre of the
bounding box; flat ground; and a spherical Bayesian mixture of all points so far, from 25 points on
and refitted after every third, of which the components count that have points, no weight that drops
to a tenth of the one before, and no more than ten times the least variance. From its sources, as
read in 2026: modules/data_merge, geolocation and cluster_estimation of the WARG's
computer-vision-python.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from worker_pipeline.airside.geometry.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.messages.point_cloud import Records

MOST_TARGETS = 10
FIRST_FIT, FIT_AGAIN = 25, 3  # points
LEAST_DROP, MOST_SPREAD = 0.1, 10.0
# A frame with one detection that descends less than this is discarded, rad.
MIN_DESCENT = 0.1


class Forerunner:
    """Processes the detections of frame after frame; ``targets``: after the last fit.

    ``camera``: as it assumes it, without distortion.
    """

    def __init__(self, camera: PinholeCamera, mounting: Mounting, ground_height: float = 0.0):
        self._camera = camera
        self._mounting = mounting
        self._height = ground_height
        self._points: list[Vector] = []
        self._fitted = 0
        self.targets: Vector = np.empty((0, 2))  # m, east and north

    def add(self, detections: Records, time: float, odometry: Sequence[tuple[float, Pose]]) -> None:
        """Add one frame's ``records.DETECTION``, taken at ``time``, s; all odometry, by time."""
        self.gather(self.locate(detections, time, odometry))

    def locate(
        self, detections: Records, time: float, odometry: Sequence[tuple[float, Pose]]
    ) -> Vector:
        """Return the locations (N, 2), m; none if one is missing, which discards the frame."""
        if not len(detections) or not odometry:
            return np.empty((0, 2))
        _, pose = min(odometry, key=lambda each: abs(each[0] - time))
        middles = np.column_stack(
            [
                (detections['x1'] + detections['x2']) / 2,
                (detections['y1'] + detections['y2']) / 2,
            ]
        )
        rays = self._camera.rays(middles)
        points = CameraPose.from_body(pose, self._mounting).intersect_plane(
            rays, self._height, MIN_DESCENT
        )
        return points[:, :2] if np.isfinite(points).all() else np.empty((0, 2))

    def gather(self, points: Vector) -> None:
        """Add points (N, 2), m, of one frame; refit if there are enough new ones."""
        self._points.extend(points)
        enough = len(self._points) >= FIRST_FIT
        if enough and len(self._points) - self._fitted >= FIT_AGAIN:
            self.fit()

    def fit(self) -> None:
        """Refit all points."""
        # Imported here: it takes seconds, and is not needed for locating alone.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import BayesianGaussianMixture

        points = np.array(self._points)
        if len(points) < MOST_TARGETS:
            return
        self._fitted = len(points)
        mixture = BayesianGaussianMixture(
            covariance_type='spherical',
            n_components=MOST_TARGETS,
            init_params='k-means++',
            weight_concentration_prior=100,
            mean_precision_prior=1e-6,
            max_iter=1000,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', ConvergenceWarning)
            mixture.fit(points)
        if not mixture.converged_:
            return
        order = np.argsort(mixture.weights_)[::-1]
        order = order[np.isin(order, mixture.predict(points))]
        weights = mixture.weights_[order]
        drops = np.flatnonzero(weights[1:] < LEAST_DROP * weights[:-1])
        if len(drops):
            order = order[: drops[0] + 1]
        variances = mixture.covariances_[order]
        self.targets = mixture.means_[order[variances <= MOST_SPREAD * variances.min()]]
