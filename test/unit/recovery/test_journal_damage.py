# SPDX-License-Identifier: Apache-2.0
"""A damaged journal: its intact beginning is used, and never a history that did not happen."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.journal import RUN

from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Ledger
from worker_pipeline.recovery.journal import Journal, Recovered, UnreadableJournalError, read

CHECKPOINTED = {'stage': {'ledger': [(1, 'input', b'\x00\xff', 1.5)], 'known': None}}
PAGE = 4096


def written(path: Path) -> tuple[bytes, Recovered]:
    """Return the bytes of a journal of a few pages, and its content."""
    chance = random.Random(24)
    journal = Journal(path, RUN, payloads=True)
    journal.checkpoint(CHECKPOINTED)
    ledger = Ledger(queue_size=5, record=journal.recorder('stage'))
    for number in range(1, 61):
        ledger.accept(ItemKey('input', number), chance.randbytes(chance.randrange(300)), 0.5)
        journal.commit()
        ledger.assign('worker_0')
        ledger.complete('worker_0', number, (chance.randbytes(20),))
        journal.commit()
    journal.close()
    recovered = read(path)
    assert recovered is not None
    assert len(recovered.entries) == 120
    assert (recovered.damage, recovered.is_complete) == ('', True)
    return path.read_bytes(), recovered


def flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def zero_page(data: bytes, chance: random.Random) -> bytes:
    """Return it with one page zeroed, or some pages to the end."""
    at = chance.randrange(0, len(data), PAGE)
    length = len(data) - at if chance.random() < 0.3 else min(PAGE, len(data) - at)
    return data[:at] + bytes(length) + data[at + length :]


def zero_bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    length = min(chance.randrange(1, 200), len(data) - at)
    return data[:at] + bytes(length) + data[at + length :]


def remove_part(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randrange(1, 400) :]


def repeat_part(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[max(0, at - chance.randrange(1, 400)) :]


def append(data: bytes, chance: random.Random) -> bytes:
    return data + chance.randbytes(chance.randrange(1, 200))


DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    flip,
    cut,
    zero_page,
    zero_bytes,
    remove_part,
    repeat_part,
    append,
]


def check(path: Path, data: bytes, damaged: bytes, whole: Recovered) -> None:
    """Read a damaged journal: what is used is a beginning of the truth, and the damage is named."""
    path.write_bytes(damaged)
    try:
        found = read(path)
    except UnreadableJournalError:
        assert damaged != data
        return
    assert found is not None
    assert (found.run_id, found.snapshot) == (whole.run_id, whole.snapshot)
    assert found.entries == whole.entries[: len(found.entries)]
    if damaged == data:
        assert found == whole
        return
    assert found.damage
    assert found.is_complete is (len(found.entries) == len(whole.entries) and data in damaged)


@pytest.mark.parametrize('damage', DAMAGES, ids=lambda each: each.__name__)
def test_a_damaged_journal_is_a_beginning_of_the_truth_and_known_to_be_damaged(
    damage: Callable[[bytes, random.Random], bytes], path
):
    """Wherever it is damaged."""
    data, whole = written(path)
    chance = random.Random(damage.__name__)
    for _ in range(60):
        check(path, data, damage(data, chance), whole)


@pytest.mark.storm
@pytest.mark.parametrize('damage', DAMAGES, ids=lambda each: each.__name__)
def test_ten_thousand_damages(damage: Callable[[bytes, random.Random], bytes], path):
    """Of each kind, all different."""
    data, whole = written(path)
    chance = random.Random()
    for _ in range(10_000):
        check(path, data, damage(data, chance), whole)


def test_a_cut_anywhere_leaves_the_entries_before_it(path):
    """All of them; none is lost that is still there."""
    data, whole = written(path)
    seen = set()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        try:
            found = read(path)
        except UnreadableJournalError:
            assert not seen
            continue
        assert found.entries == whole.entries[: len(found.entries)]
        assert not found.is_complete
        assert len(found.entries) >= max(seen, default=0)
        seen.add(len(found.entries))
    assert seen == set(range(len(whole.entries) + 1))


def test_what_follows_the_entries_is_not_read_as_it_may_be_larger_than_the_memory(path):
    """A file that has grown by a hole, with its end mark and without."""
    data, whole = written(path)
    for intact, is_complete in ((data, True), (data[:-1], False)):
        path.write_bytes(intact)
        os.truncate(path, 1 << 40)
        found = read(path)
        assert found is not None
        assert found.entries == whole.entries
        assert found.damage
        assert found.is_complete is is_complete
