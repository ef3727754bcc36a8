# SPDX-License-Identifier: Apache-2.0
"""OpenCV, or an error that names the packages to install."""

from __future__ import annotations

import os

from worker_pipeline.airside.common.missing import missing_package

# Compressed pictures of a few bytes can be of any size: OpenCV's own limit is 2^30 pixels, of
# several bytes each. It is read once, when OpenCV is loaded. The largest cameras have 1.5e8 pixels.
MAX_PIXELS = os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(1 << 28))

try:
    import cv2
except ModuleNotFoundError as error:
    raise missing_package(error) from error

__all__ = ['MAX_PIXELS', 'cv2']
