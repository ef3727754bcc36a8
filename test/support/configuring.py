"""Pieces of configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stage(name: str, **settings: Any) -> dict[str, Any]:
    """The section of a stage whose class is in ``support.stages``."""
    return {'plugin': f'support.stages:{name}', **settings}


def flat(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Nested tables as ROS gives them: full names with dots."""
    parameters: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            parameters |= flat(value, f'{prefix}{key}.')
        else:
            parameters[prefix + key] = value
    return parameters
