# SPDX-License-Identifier: Apache-2.0
"""Decides what a running manager makes anew when something else has removed it.

A tidy script, or systemd's RemoveIPC at a log-out, may remove the folder of a pipeline, or a part
of it, while the pipeline runs. Open files and connections outlive that, but nobody could join.
"""

from __future__ import annotations

import enum
from collections.abc import Collection

# How long another process may have the lock before this manager ends, s. A manager that is being
# refused has it for a second.
DISPUTE_TIMEOUT = 5.0


class Part(enum.Enum):
    """What a manager needs in its folder, in the order in which it can be made."""

    FOLDER = 'the folder itself'
    LOCK = 'its lock'
    WORKERS = 'liveness records'
    STATES = 'saved states'
    FRAMES = 'frames'
    HELPERS = 'list of helper processes'
    RELAY = 'pid of the output relay'
    SOCKET = 'socket'
    JOURNAL = 'journal'


def describe_parts(parts: Collection[Part]) -> str:
    """Return parts in words: ``lock, socket``."""
    return ', '.join(each.value for each in parts)


class FolderRepair:
    """The state of the repair of one folder."""

    def __init__(self) -> None:
        self._disputed_since: float | None = None

    def plan(self, missing: Collection[Part]) -> list[Part]:
        """Return what is to be made, in order: the lock comes before what it protects."""
        if Part.FOLDER in missing:
            # What is in another folder of that name is not this manager's.
            return [*Part]
        return [each for each in Part if each in missing]

    def lock_taken(self, now: float) -> bool:
        """Note that another process has the lock; return whether this manager has to end.

        ``now``: s.
        """
        if self._disputed_since is None:
            self._disputed_since = now
        return now - self._disputed_since > DISPUTE_TIMEOUT

    def lock_held(self) -> None:
        """Note that this manager has the lock."""
        self._disputed_since = None
