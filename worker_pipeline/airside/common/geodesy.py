# SPDX-License-Identifier: Apache-2.0
"""pymap3d, or an error that names the packages to install."""

from __future__ import annotations

from worker_pipeline.airside.common.missing import missing_package

try:
    import pymap3d
except ModuleNotFoundError as error:
    raise missing_package(error) from error

__all__ = ['pymap3d']
