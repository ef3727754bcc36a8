# SPDX-License-Identifier: Apache-2.0
"""The sections of a ROS parameter file, however deeply the names of nodes are nested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def sections_of(content: Any, *names: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each section of a parameter file: the pattern of its nodes, and their parameters.

    Args:
        content: The file's content, as YAML reads it.
        names: The keys that lead to it.
    """
    if not isinstance(content, Mapping):
        return
    for key, value in content.items():
        if key == 'ros__parameters' and isinstance(value, Mapping):
            yield '/' + '/'.join(name for name in names if name), value
        else:
            yield from sections_of(value, *names, str(key).strip('/'))
