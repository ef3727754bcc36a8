# SPDX-License-Identifier: Apache-2.0
"""The saved state of a stage with memory, in a file that outlives its worker."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.recovery.checked_file import read_checked, write_checked


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

    def write(self, state: bytes, answers: RecentAnswers, codec: str = '') -> None:
        """Save a state with the last answers. Raises OSError.

        Args:
            state: The state's bytes.
            answers: The last answers.
            codec: What has written the state.
        """
        values = bytes(state), [tuple(each) for each in answers.all()], codec
        write_checked(self.path, values)

    def read(self) -> Saved | None:
        """Return the last saved state; None if there is none. Raises DamagedFileError."""
        try:
            state, answers, codec = read_checked(self.path)
        except FileNotFoundError:
            return None
        return Saved(state, [Answer(*each) for each in answers], codec)
