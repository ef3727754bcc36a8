"""Where the package's launch and configuration files are."""

from __future__ import annotations

from pathlib import Path


def package_share() -> Path:
    """The share folder where the package is installed, or the checkout."""
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory('worker_pipeline'))
    except Exception:  # no ament index, or not installed in one
        return Path(__file__).parents[2]
