"""A peer: how the forerunner of the airside stages finds targets, for the accuracy beside it.

The nearest odometry instead of an interpolated one; a pinhole without distortion; the middle of the
box around a detection; flat ground; and a spherical Bayesian mixture of all points so far, from 25
points on and with every third more, of which the components count that have points, no weight that
drops to a tenth of the one before, and no more than ten times the least variance. Of its sources,
as read in 2026: modules/data_merge, geolocation and cluster_estimation of the WARG's
computer-vision-python.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from worker_pipeline.airside.geometry import Vector
from worker_pipeline.airside.pinhole import CameraPose, Mounting, PinholeCamera
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.pose import Pose

MOST_TARGETS = 10
FIRST_FIT, FIT_AGAIN = 25, 3  # points
LEAST_DROP, MOST_SPREAD = 0.1, 10.0
# A frame with one detection that goes down less steeply than this is discarded, rad.
MIN_DESCENT = 0.1


class Forerunner:
    """Takes in one frame's detections after the other; ``targets`` are those after the last fit.

    ``camera``: as it takes it to be, which is without distortion.
    """

    def __init__(self, camera: PinholeCamera, mounting: Mounting, ground_height: float = 0.0):
        self._camera = camera
        self._mounting = mounting
        self._height = ground_height
        self._points: list[Vector] = []
        self._fitted = 0
        self.targets: Vector = np.empty((0, 2))  # m, east and north

    def add(self, detections: Records, time: float, odometry: Sequence[tuple[float, Pose]]) -> None:
        """Detections (``records.DETECTION``) of one frame at ``time``, s; all odometry, by time."""
        self.gather(self.locate(detections, time, odometry))

    def locate(
        self, detections: Records, time: float, odometry: Sequence[tuple[float, Pose]]
    ) -> Vector:
        """Where they lie (N, 2), m; none of them where one lies nowhere: that costs the frame."""
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
        points = CameraPose.of(pose, self._mounting).on_plane(rays, self._height, MIN_DESCENT)
        return points[:, :2] if np.isfinite(points).all() else np.empty((0, 2))

    def gather(self, points: Vector) -> None:
        """Points (N, 2), m, of one frame; fit all again, when there are enough new ones."""
        self._points.extend(points)
        enough = len(self._points) >= FIRST_FIT
        if enough and len(self._points) - self._fitted >= FIT_AGAIN:
            self.fit()

    def fit(self) -> None:
        """Fit all points anew."""
        # Imported here: it takes seconds, and who only locates does not need it.
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
