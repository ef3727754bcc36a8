# SPDX-License-Identifier: Apache-2.0
"""Whether an item or its worker is the cause of the worker's size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.memory_limit import KillWorker, MemoryUse, ReplaceWorker, check_memory

MB = 1_000_000


def progress(fresh: int = 40, start: int = 0, item: int = 0, finished: int = 10) -> Any:
    return SimpleNamespace(
        active_item=item,
        finished_items=finished,
        fresh_memory=fresh * MB,
        active_memory=start * MB,
    )


def check(size: int, seen: Any, limit: float = 150.0, mapped: int = 20) -> Any:
    return check_memory(MemoryUse((size - mapped) * MB, mapped * MB), seen, limit)


@pytest.mark.parametrize(('size', 'limit'), [(150, 150.0), (10_000, 0.0), (20, 150.0)])
def test_a_worker_within_the_limit_stays(size, limit):
    """0 is no limit."""
    assert check(size, progress(), limit) is None


def test_a_worker_that_has_grown_slowly_is_replaced():
    """Between two items, or during one that does not make it grow more than others."""
    assert check(155, progress()) == ReplaceWorker(
        'it uses 155 MB of memory; memory_limit is 150 MB'
    )
    assert isinstance(check(155, progress(item=7, start=126)), ReplaceWorker)


def test_an_item_that_needs_what_a_new_worker_has_is_not_suspected():
    """Each item takes 80 MB for a while; the worker itself has grown to 80 MB."""
    assert isinstance(check(180, progress(item=7, start=80)), ReplaceWorker)


def test_an_item_that_would_take_a_new_worker_beyond_the_limit_is_suspected():
    found = check(300, progress(item=7, start=50))
    assert found == KillWorker(
        'it uses 300 MB of memory, 230 MB of it since the item started; memory_limit is 150 MB',
        blames_item=True,
    )


def test_a_worker_that_is_too_large_without_any_item_is_killed():
    """A rolling update would replace it for ever; as a restart, it is counted and reported."""
    found = check(160, progress(fresh=0, finished=0))
    assert found.blames_item is False
    assert found.reason.endswith('memory_limit is 150 MB, which is too little without any item')
    assert check(200, progress(fresh=170, item=1, start=170)).blames_item is False


def test_a_worker_that_grows_on_while_it_waits_for_its_replacement_is_not_given_items():
    """From twice the limit on; it finishes those that it holds."""
    assert check(299, progress(item=7, start=275)).is_urgent is False
    assert check(301, progress(item=7, start=275)).is_urgent is True


def test_a_worker_whose_growth_was_not_measured_is_replaced():
    """The limit was set while the item was in process."""
    assert isinstance(check(200, progress(fresh=0, item=7)), ReplaceWorker)


@given(
    fresh=st.integers(20, 100),
    leaks=st.lists(st.integers(0, 9), min_size=1, max_size=60),
    needs=st.integers(0, 40),
)
def test_no_item_of_a_leak_is_ever_suspected(fresh: int, leaks: list[int], needs: int):
    """Whatever was leaked before: an item that takes less than there is room for is innocent."""
    size = fresh
    for item, leak in enumerate(leaks):
        start = size
        size += leak
        found = check(size + needs + 10, progress(fresh, start, item + 1, item), mapped=10)
        if isinstance(found, KillWorker):
            assert not found.blames_item
            return
