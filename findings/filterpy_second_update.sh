#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# FilterPy's unscented Kalman filter must not be updated twice without a prediction in between.
#
# Expected: two sensors measure at the same time, so predict() once and update() for each, as with
#   the package's KalmanFilter. Prior 0 with variance 1, measurements of 1 with variance 1: after
#   n of them the mean is n / (n + 1), the variance 1 / (n + 1).
# Happens: update() uses the sigma points that predict() left. The second measurement is compared
#   with the old mean and weighed with the old covariance: the mean overshoots, the variance
#   becomes zero, and with the third measurement negative. No error, no warning.
# Matters to: who fuses GNSS, barometer and camera, or several detections of one target in one
#   image. Set sigmas_f = points_fn.sigma_points(x, P) before each further update, or stack the
#   measurements.
# Source: filterpy/kalman/UKF.py: sigmas_f is written in __init__, compute_process_sigmas and
#   predict alone; update() reads it. Issue 172 of rlabbe/filterpy is about the same points in
#   predict().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install filterpy==2.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
from importlib.metadata import version

import numpy as np
from filterpy.kalman import KalmanFilter, MerweScaledSigmaPoints, UnscentedKalmanFilter

print('filterpy', version('filterpy'))
one = np.eye(1)
points = MerweScaledSigmaPoints(1, alpha=0.1, beta=2.0, kappa=2.0)
unscented = UnscentedKalmanFilter(1, 1, 1.0, hx=lambda x: x, fx=lambda x, dt: x, points=points)
linear = KalmanFilter(dim_x=1, dim_z=1)
linear.F = linear.H = one
for each in (unscented, linear):
    each.x, each.P, each.Q, each.R = np.zeros(1), one.copy(), 0 * one, one.copy()
    each.predict()
for n in (1, 2, 3):
    for each in (linear, unscented):
        each.update(np.ones(1))
        mean, variance = each.x.item(), each.P.item()
        print(f'{n} measurements, {type(each).__name__}: mean {mean:.3f}, variance {variance:.3f}')
assert abs(linear.x.item() - 0.75) < 1e-6 and abs(linear.P.item() - 0.25) < 1e-6
assert abs(unscented.x.item() - 1.5) < 1e-6 and abs(unscented.P.item() + 0.5) < 1e-6
EOF
