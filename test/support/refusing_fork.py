# SPDX-License-Identifier: Apache-2.0
"""Imported by a fork server: its forks fail while there is a file, with the number in it."""

from __future__ import annotations

import os
from pathlib import Path

_refusal = Path(os.environ['REFUSAL'])
_fork = os.fork


def _refusing_fork() -> int:
    if _refusal.exists():
        number = int(_refusal.read_text())
        raise OSError(number, os.strerror(number))
    return _fork()


os.fork = _refusing_fork
