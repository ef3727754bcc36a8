# SPDX-License-Identifier: Apache-2.0
"""Parts of configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stage(name: str, **settings: Any) -> dict[str, Any]:
    """Return the section of a stage with a class in ``support.stages``."""
    return {'plugin': f'support.stages:{name}', **settings}


def flat(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Return nested tables as ROS passes them: full names with dots."""
    parameters: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            parameters |= flat(value, f'{prefix}{key}.')
        else:
            parameters[prefix + key] = value
    return parameters
