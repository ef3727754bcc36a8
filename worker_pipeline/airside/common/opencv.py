# SPDX-License-Identifier: Apache-2.0
"""OpenCV, or an error that names the packages to install."""

from __future__ import annotations

from worker_pipeline.airside.common.missing import missing_package

try:
    import cv2
except ModuleNotFoundError as error:
    raise missing_package(error) from error

__all__ = ['cv2']
