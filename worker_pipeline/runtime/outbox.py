"""What events lead to in the world, done when it is written down; and in which order."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from worker_pipeline.runtime.journal import Journal

Effect = tuple[Callable[..., None], tuple[Any, ...]]


class Outbox:
    """What an event leads to in the world, kept until its changes are written down.

    A context, entered by everything that may change a ledger; what it does inside another one's
    event belongs to that event. Workers wait for what it leads to: that leaves first, then comes
    what follows from it, as another event, and last what others outside are to be told.
    """

    def __init__(self, journal: Journal, on_error: Callable[[str], None]) -> None:
        self.journal = journal
        self._on_error = on_error
        self._depth = 0
        self._effects: list[Effect] = []
        self._following: dict[Callable[[], None], None] = {}  # in order, each once
        self._last: list[Effect] = []
        self._flushing = False
        self.snapshot: Callable[[], Mapping[str, Any]] = dict
        # Called when all effects are done that workers wait for.
        self.ship: Callable[[], None] = lambda: None
        # Called when all that an event led to is done.
        self.settle: Callable[[], None] = lambda: None

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._flush()

    def do(self, effect: Callable[..., None], *arguments: Any) -> None:
        """Do this when it is written down."""
        self._effects.append((effect, arguments))

    def do_last(self, effect: Callable[..., None], *arguments: Any) -> None:
        """Do this when nobody waits any more for what this event leads to."""
        self._last.append((effect, arguments))

    def follow(self, event: Callable[[], None]) -> None:
        """Do this after this event, as one of its own: once, however often it is asked for."""
        self._following[event] = None

    def _flush(self) -> None:
        if self._flushing:
            self._carry_out()
            return  # an event that follows from another, which goes on with the rest
        self._flushing = True
        try:
            if self._effects:
                self._carry_out()
            # Where nothing leaves, nobody waits: what follows is written down with it.
            self._go_on()
            while self._last:
                last, self._last = self._last, []
                for effect, arguments in last:
                    self._attempt(effect, arguments)
                self._go_on()
        finally:
            self._flushing = False
        self.settle()
        if self.journal.grown:
            self.begin_anew()

    def _go_on(self) -> None:
        """Do what follows, as one event."""
        with self:
            while self._following:
                event = next(iter(self._following))
                del self._following[event]
                self._attempt(event, ())

    def _carry_out(self) -> None:
        try:
            self.journal.commit()
        except OSError as error:
            self._tell(error)
        if self._effects:
            effects, self._effects = self._effects, []
            for effect, arguments in effects:
                self._attempt(effect, arguments)
            self.ship()

    def _attempt(self, effect: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        try:
            effect(*arguments)
        except Exception:  # the others are as important
            self._on_error(f'internal error:\n{traceback.format_exc()}')

    def begin_anew(self) -> None:
        """Begin the journal anew, with all there is now."""
        try:
            self.journal.begin(self.snapshot())
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        # What flies, flies on: the pipeline is worth more than its journal.
        self._on_error(f'the journal cannot be written: {error}; a crash now may lose items')
