"""The state of a stage that remembers, in a file that outlives its worker."""

from __future__ import annotations

import marshal
import os
from pathlib import Path
from typing import NamedTuple

from worker_pipeline.runtime.answers import Answer, RecentAnswers


class Saved(NamedTuple):
    """What was saved last: a state, and the answers to the last items that are in it."""

    state: bytes
    answers: list[Answer]


class SavedState:
    """One slot's file.

    State and answers are written in one step, so that whoever takes over knows exactly which items
    are in the state, and what they gave: none is applied twice, and none is missed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fresh = path.with_name(path.name + '.new')

    def write(self, state: bytes, answers: RecentAnswers) -> None:
        """Save. Raises OSError when there is no room for it."""
        data = marshal.dumps((bytes(state), [tuple(each) for each in answers.all()]))
        file = os.open(self._fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
        finally:
            os.close(file)
        self._fresh.replace(self.path)

    def read(self) -> Saved | None:
        """What was saved last; None when nothing was."""
        try:
            data = self.path.read_bytes()
        except OSError:
            return None
        state, answers = marshal.loads(data)
        return Saved(state, [Answer(*each) for each in answers])
