# SPDX-License-Identifier: Apache-2.0
"""The state of a stage that remembers: from its hooks to the file that outlives its worker."""

from __future__ import annotations

import time

from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.recovery.saved_state import SavedState
from worker_pipeline.recovery.set_aside import set_aside
from worker_pipeline.stage import Stage
from worker_pipeline.state_codec import StateError, decode_state, encode_state

# How long a worker waits for the folder of its state, s.
FOLDER_TIMEOUT = 1.5


class StageState:
    """Saves and restores the state of one stage.

    Args:
        stage: The stage.
        saved: The file.
    """

    def __init__(self, stage: Stage, saved: SavedState) -> None:
        self.size = 0  # bytes, when it was saved or restored last
        self.save_time = 0.0  # s that the last save took, the stage's hook included
        self._stage = stage
        self._saved = saved
        self._codec = type(stage).state_codec

    def save(self, answers: RecentAnswers) -> None:
        """Save the present state with the last answers.

        Raises StateError, OSError and what the stage raises.
        """
        begin = time.monotonic()
        data = encode_state(self._codec, self._stage.save_state())
        self._write(data, answers)
        self.size, self.save_time = len(data), time.monotonic() - begin

    def _write(self, data: bytes, answers: RecentAnswers) -> None:
        """Write the file. If its folder is gone, wait until the manager has made it anew.

        As a failure the item would be processed again, with a state that contains it.
        """
        deadline = time.monotonic() + FOLDER_TIMEOUT
        while True:
            try:
                self._saved.write(data, answers, self._codec)
                return
            except (FileNotFoundError, NotADirectoryError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def set_aside(self) -> str:
        """Set the file aside, which is damaged; return in words where it is kept."""
        return set_aside(self._saved.path)

    def restore(self) -> list[Answer] | None:
        """Restore the saved state; return its answers, or None if there is none.

        Raises DamagedFileError, StateError and what the stage raises.
        """
        saved = self._saved.read()
        if saved is None:
            return None
        if saved.codec != self._codec:
            raise StateError(
                f'the saved state was written with state_codec {saved.codec!r}; allowed: '
                f'{self._codec!r}, that of the class; an orderly stop of the pipeline discards it'
            )
        self.size = len(saved.state)
        self._stage.restore_state(decode_state(self._codec, saved.state))
        return saved.answers
