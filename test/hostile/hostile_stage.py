# SPDX-License-Identifier: Apache-2.0
"""The base class of the hostile stages: a class's docstring is its row in the document."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from std_msgs.msg import Header

from worker_pipeline import Stage

TROUBLE = '2'  # the item on which most of them misbehave


class HostileStage(Stage):
    """Returns its items, unless a subclass does something else."""

    input_type = Header
    output_type = Header
    parameters = {'folder': ''}

    def process(self, item: Any) -> Any:
        """Return the item; on the one that is trouble, misbehave."""
        if item.frame_id == TROUBLE:
            return self.trouble(item)
        return Header(frame_id=item.frame_id)

    def trouble(self, item: Any) -> Any:
        """Misbehave."""
        return Header(frame_id=item.frame_id)

    def record_child(self, pid: int) -> None:
        """Record the pid of a process that must be gone once the pipeline has ended."""
        (Path(self.params['folder']) / f'child.{pid}').touch()

    def first_time(self) -> bool:
        """Return whether no process of this stage has called this before."""
        try:
            os.close(os.open(self._mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    @property
    def _mark(self) -> str:
        return os.path.join(self.params['folder'], f'first.{type(self).__name__}')
