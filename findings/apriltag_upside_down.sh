#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# OpenCV's AprilTag 36h11 stands on its head for the AprilTag library.
#
# Expected: a tag has one upright position, so two libraries that read the same family agree about
#   which corner is which, if perhaps not where they begin to count.
# Happens: OpenCV begins at the upper left corner of an upright tag and goes clockwise; the
#   AprilTag library begins at the lower left and goes counter-clockwise. On the tag that OpenCV
#   drew, it begins at the upper right: for it, the same picture is turned by 180 degrees.
#   Identifiers agree.
# Matters to: who takes a heading from a landing pad or a bundle of tags, and prints them with one
#   program and reads them with another. A position from the centre is right, the yaw is 180
#   degrees off.
# Source: issue 1195 of opencv/opencv-python; pull request 28823 of opencv/opencv (for OpenCV 5,
#   yet opencv-python-headless 5.0.0.93 still drew the same picture as 4.14.0.94).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install opencv-python-headless==4.14.0.94 pupil-apriltags==1.0.4.post11 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
from importlib.metadata import version

import cv2
import numpy as np
from pupil_apriltags import Detector

print(*(f'{name} {version(name)}' for name in ('opencv-python-headless', 'pupil-apriltags')))
family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
tag = cv2.aruco.generateImageMarker(family, 5, 300)


def name(right, lower):
    """Return the name of a corner."""
    return f'{"lower" if lower else "upper"} {"right" if right else "left"}'


def corners(image):
    """Return where both libraries find the four corners, in their order."""
    image = cv2.copyMakeBorder(image, *[80] * 4, cv2.BORDER_CONSTANT, value=255)
    (theirs,), ids, _ = cv2.aruco.ArucoDetector(family).detectMarkers(image)
    (found,) = Detector(families='tag36h11').detect(image)
    assert ids.ravel().tolist() == [found.tag_id] == [5]
    middle = image.shape[0] / 2
    return [[name(*(corner > middle)) for corner in each] for each in (theirs[0], found.corners)]


opencv, apriltag = corners(tag)
print('as OpenCV drew it: OpenCV  ', opencv)
print('                   AprilTag', apriltag)
turned = corners(np.ascontiguousarray(tag[::-1, ::-1]))
print('turned by 180:     AprilTag', turned[1])
assert opencv == ['upper left', 'upper right', 'lower right', 'lower left']
assert apriltag == ['upper right', 'upper left', 'lower left', 'lower right']
assert turned[1] == ['lower left', 'lower right', 'upper right', 'upper left']
EOF
