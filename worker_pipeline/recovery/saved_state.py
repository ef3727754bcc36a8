# SPDX-License-Identifier: Apache-2.0
"""The saved state of a stage with memory, in a file that outlives its worker."""

from __future__ import annotations

import marshal
import os
from pathlib import Path
from typing import NamedTuple

from worker_pipeline.protocol.answers import Answer, RecentAnswers


class Saved(NamedTuple):
    """A saved state, and the answers to the last items that it contains."""

    state: bytes
    answers: list[Answer]
    codec: str = ''  # which has written the state


class SavedState:
    """The file of one slot.

    State and answers are written in one step. A replacement therefore knows exactly which items the
    state contains, and their answers: no item is applied twice, and none is missed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new = path.with_name(path.name + '.new')

    def write(self, state: bytes, answers: RecentAnswers, codec: str = '') -> None:
        """Save a state with the last answers. Raises OSError.

        Args:
            state: The state's bytes.
            answers: The last answers.
            codec: What has written the state.
        """
        data = marshal.dumps((bytes(state), [tuple(each) for each in answers.all()], codec))
        file = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.fchmod(file, 0o600)  # whatever umask the stage has set
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
        finally:
            os.close(file)
        self._new.replace(self.path)

    def read(self) -> Saved | None:
        """Return the last saved state; None if there is none."""
        try:
            data = self.path.read_bytes()
        except OSError:
            return None
        state, answers, codec = marshal.loads(data)
        return Saved(state, [Answer(*each) for each in answers], codec)
