# SPDX-License-Identifier: Apache-2.0
"""Message packages that are not part of every ROS 2: what needs one that is absent is left out."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any


def message_classes(package: str, *names: str) -> Any:
    """Return a package's message classes as attributes; None if it is not installed, or older."""
    try:
        module = importlib.import_module(f'{package}.msg')
    except ImportError:
        return None
    found = {name: getattr(module, name, None) for name in names}
    return SimpleNamespace(**found) if None not in found.values() else None
