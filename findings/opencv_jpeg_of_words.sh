#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# OpenCV's JPEG of a 16-bit image is white.
#
# Expected: JPEG has 8 bits, so imencode('.jpg', words) refuses, or divides by 256.
# Happens: it returns True, and every value above 255 is 255: of a ramp over all words, 99 % is
#   white. A warning ('fallbacked to CV_8U') goes to standard error.
# Matters to: who compresses thermal images (mono16) by image_transport's compressed plugin with its
#   default, jpeg, which gives them to imencode as they are: the receiver sees a white picture, and
#   finds nothing in it. With png, words are kept.
# Source: imgcodecs' documentation of imwrite: 16-bit images can be saved as PNG, JPEG 2000, TIFF.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install opencv-python-headless==4.14.0.94 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import cv2
import numpy as np

words = np.arange(65536, dtype=np.uint16).reshape(256, 256)
shares = {}
for kind in ('.jpg', '.png'):
    done, data = cv2.imencode(kind, words)
    found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    shares[kind] = float((found == found.max()).mean())
    print(f'{kind}: returned {done}; {found.dtype}, the largest value has {shares[kind]:.1%}')
print('OpenCV', cv2.__version__)
assert shares['.jpg'] > 0.98 and shares['.png'] < 0.001
EOF
