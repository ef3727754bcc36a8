"""What a manager that died has left to the next one: its books, its workers, their items."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from worker_pipeline.runtime import journal
from worker_pipeline.runtime.pipeline_folder import PipelineFolder, forget_page
from worker_pipeline.runtime.vital_signs import VitalSigns


@attrs.define
class Legacy:
    """What is left of one stage."""

    book: Mapping[str, Any] | None = None  # its last snapshot; None: it was not there then
    changes: list[tuple[str, tuple[Any, ...]]] = attrs.field(factory=list)  # since, by name
    living: dict[str, VitalSigns] = attrs.field(factory=dict)  # by slot
    in_work: dict[str, int] = attrs.field(factory=dict)  # by slot, of those that are dead
    payloads: dict[int, bytes] = attrs.field(factory=dict)  # by number, what workers have kept
    listeners: int = 0  # how many listened to its output from outside
    outside: list[bytes] = attrs.field(factory=list)  # messages that they may not have got
    looks: dict[str, list[bytes]] = attrs.field(factory=dict)  # by slot: the frames it has kept


def inherit(
    folder: PipelineFolder, tell: Callable[[str], None], *, journal_kept: bool
) -> dict[str, Legacy] | None:
    """What is there to go on with, by stage; None where there is nothing.

    ``journal_kept``: items have been written down, so they are there though nobody lives. Workers
    whose books cannot be read are ended: nobody knows what they have done. ``tell`` is told so.
    """
    recovered = journal.read(folder.journal)
    pages = folder.pages()
    if recovered is None:
        strangers = [page for each in pages.values() for page in each if page.alive()]
        for page in strangers:
            end(page)
        if strangers:
            tell(f'found {len(strangers)} workers without a journal that can be read; ended them')
        folder.forget_all()
        return None
    if not journal_kept and not any(
        page.alive() or folder.held(page).items for each in pages.values() for page in each
    ):
        folder.forget_all()  # of another day
        return None
    folder.run = recovered.run
    stages = {name: Legacy(book=book) for name, book in recovered.snapshot.items()}
    _read_changes(recovered, stages)
    for (stage, slot), found in pages.items():
        legacy = stages.setdefault(stage, Legacy())
        _sort(folder, legacy, slot, found)
    return stages


def end(page: VitalSigns) -> None:
    """Kill a worker, and wait until it is gone."""
    if not page.alive():
        return  # or was never born
    try:
        pidfd = os.pidfd_open(page.read().pid)
    except ProcessLookupError:
        return
    try:
        if page.alive():  # still, and not a stranger who has got its pid
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            _wait(pidfd)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def _wait(pidfd: int, timeout: float = 5.0) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(timeout * 1e3)


def _read_changes(recovered: journal.Recovered, stages: dict[str, Legacy]) -> None:
    for name, book in recovered.snapshot.items():
        stages[name].outside = list(book['outside'])
        stages[name].listeners = book['listeners']
        stages[name].looks = dict(book['looks'])
    for entry in recovered.entries:
        for stage, name, arguments in entry:
            legacy = stages.setdefault(stage, Legacy())
            if name == 'listeners':
                legacy.listeners = arguments[0]
            elif name == 'outside':
                legacy.outside.append(arguments[0])
            elif name == 'heard':
                del legacy.outside[: arguments[0]]
            elif name == 'looks':
                legacy.looks[arguments[0]] = arguments[1]
            else:
                legacy.changes.append((name, arguments))


def _sort(folder: PipelineFolder, legacy: Legacy, slot: str, found: list[VitalSigns]) -> None:
    """Tell the living from the dead; of several that live in one slot the youngest stays."""
    for page in found:
        signs = page.read()
        if signs.run != folder.run:  # its numbers are of other items
            end(page)
            forget_page(page)
            continue
        held = folder.held(page)
        legacy.payloads.update(held.items)
        if not page.alive():
            if slot not in legacy.living:
                legacy.in_work.setdefault(slot, signs.in_work)
            forget_page(page)
        elif slot in legacy.living:
            end(page)
            forget_page(page)
        else:
            legacy.living[slot] = page
            if held.looks is not None:
                legacy.looks[slot] = held.looks  # since it told its manager
