# SPDX-License-Identifier: Apache-2.0
"""The location of the package's launch and configuration files."""

from __future__ import annotations

from pathlib import Path


def package_share() -> Path:
    """Return the package's share folder if it is installed, else the checkout."""
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory('worker_pipeline'))
    except Exception:  # no ament index, or the package is not in it
        return Path(__file__).parents[2]
