"""Pieces of configurations."""

from __future__ import annotations

from typing import Any


def stage(name: str, **settings: Any) -> dict[str, Any]:
    """The section of a stage whose class is in ``support.stages``."""
    return {'plugin': f'support.stages:{name}', **settings}
