# SPDX-License-Identifier: Apache-2.0
"""The descriptions of the stages' classes, kept for the next manager: to import takes long.

A description is used again as long as the class is asked for with the same parameters, in forks of
the same guardian, and none of the files has changed that its import has loaded.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path

from worker_pipeline.config import PluginDescription, StageConfig
from worker_pipeline.recovery.checked_file import DamagedFileError, read_checked, write_checked


class InspectionCache:
    """Descriptions of classes that have no problems.

    Args:
        path: The file.
        base: What everything else that a class depends on is identified by: the process that has
            imported it.
    """

    def __init__(self, path: Path, base: tuple[int, int]) -> None:
        self._path = path
        self._base = base
        self._known: dict[bytes, PluginDescription] = {}
        # Written by us, behind a checksum; another version's has another base.
        with contextlib.suppress(FileNotFoundError, DamagedFileError, TypeError, ValueError):
            found, data = read_checked(path)
            if found == base:
                self._known = pickle.loads(data)

    def get(self, stage: StageConfig) -> PluginDescription | None:
        """Return what is known of a stage's class; None if that may not be so any more."""
        found = self._known.get(_key(stage))
        return found if found is not None and all(map(_is_as_before, found.files)) else None

    def save(
        self, stages: Mapping[str, StageConfig], descriptions: Mapping[str, PluginDescription]
    ) -> None:
        """Keep what is known of all classes of a pipeline, both by stage."""
        known = {
            _key(stages[name]): each for name, each in descriptions.items() if not each.problems
        }
        if known == self._known:
            return
        with contextlib.suppress(OSError):  # no space: the next manager has to import them
            write_checked(self._path, (self._base, pickle.dumps(known)))


def _key(stage: StageConfig) -> bytes:
    return pickle.dumps((stage.plugin, sorted(stage.params.items())))


def _is_as_before(file: tuple[str, int, int]) -> bool:
    path, changed_at, size = file
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_mtime_ns, found.st_size) == (changed_at, size)
