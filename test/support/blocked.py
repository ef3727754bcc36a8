# SPDX-License-Identifier: Apache-2.0
"""Python processes in which the packages that only the airside stages need cannot be imported."""

from __future__ import annotations

from pathlib import Path

BLOCKED = ('PIL', 'cv2', 'onnxruntime', 'pymap3d', 'pymavlink', 'serial')

_SITE_CUSTOMIZE = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Blocker())
"""


def block_airside_packages(folder: Path) -> str:
    """Write a ``sitecustomize`` that blocks the packages; return the entry for PYTHONPATH."""
    (folder / 'sitecustomize.py').write_text(_SITE_CUSTOMIZE)
    return str(folder)
