# SPDX-License-Identifier: Apache-2.0
"""The pools of workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline import FixedWorkerPool, RefreshingWorkerPool, WorkerPool


def test_a_fixed_pool_always_has_all_its_workers():
    """Two items each by default."""
    pool = FixedWorkerPool(['a', 'b'])
    assert pool.get_currently_active() == ['a', 'b']
    assert pool.get_worker_concurrency() == 2
    assert FixedWorkerPool(['a'], worker_concurrency=5).get_worker_concurrency() == 5


def test_a_fixed_pool_needs_a_worker():
    """With a clear message."""
    with pytest.raises(ValueError, match=r'workers: found none; allowed: 1 or more'):
        FixedWorkerPool([])


@pytest.mark.parametrize('concurrency', [0, -1])
def test_a_concurrency_below_one_is_rejected(concurrency: int):
    """By either pool, with the same message."""
    message = f'worker_concurrency: found {concurrency}; allowed: 1 or more'
    with pytest.raises(ValueError, match=message):
        FixedWorkerPool(['a'], concurrency)
    with pytest.raises(ValueError, match=message):
        RefreshingWorkerPool(concurrency)


@pytest.mark.parametrize('pool', [FixedWorkerPool(['a', 'b']), RefreshingWorkerPool()])
def test_the_list_of_workers_is_a_copy(pool: WorkerPool[str]):
    """The caller may change it."""
    before = pool.get_currently_active()
    pool.get_currently_active().append('stranger')
    assert pool.get_currently_active() == before


def test_a_fixed_pool_does_not_change_with_the_list_it_was_built_from():
    """It keeps a copy."""
    workers = ['a']
    pool = FixedWorkerPool(workers)
    workers.append('b')
    assert pool.get_currently_active() == ['a']


def test_workers_join_and_leave_a_refreshing_pool():
    """It starts empty."""
    pool: RefreshingWorkerPool[str] = RefreshingWorkerPool()
    assert pool.get_currently_active() == []
    pool.join('a')
    pool.join('b')
    assert (pool.get_currently_active(), len(pool)) == (['a', 'b'], 2)
    pool.leave('a')
    assert (pool.get_currently_active(), len(pool)) == (['b'], 1)


def test_joining_twice_and_leaving_twice_is_the_same_as_once():
    """A worker is in the pool once, and one ``leave`` removes it."""
    pool: RefreshingWorkerPool[str] = RefreshingWorkerPool()
    pool.join('a')
    pool.join('a')
    assert len(pool) == 1
    pool.leave('a')
    pool.leave('a')
    assert len(pool) == 0


def test_the_least_loaded_worker_is_the_one_with_the_fewest_items():
    """The first of several."""
    pool = FixedWorkerPool(['a', 'b', 'c', 'd'], 4)
    assert pool.least_loaded({'a': 3, 'b': 1, 'c': 2, 'd': 1}.__getitem__) == 'b'


def test_no_worker_is_least_loaded_if_all_are_full():
    """A worker never gets more items than its concurrency."""
    pool = FixedWorkerPool(['a', 'b'], 2)
    assert pool.least_loaded({'a': 2, 'b': 3}.__getitem__) is None
    assert pool.least_loaded({'a': 2, 'b': 1}.__getitem__) == 'b'


def test_an_empty_pool_has_no_least_loaded_worker():
    """``load`` is not called."""
    pool: RefreshingWorkerPool[str] = RefreshingWorkerPool()
    assert pool.least_loaded(lambda _: 0) is None


def test_a_custom_pool_needs_two_methods():
    """``least_loaded`` calls them each time, so the pool may change at any time."""

    class Shrinking(WorkerPool[str]):
        workers = ('a', 'b')

        def get_currently_active(self) -> list[str]:
            return list(self.workers)

        def get_worker_concurrency(self) -> int:
            return 1

    pool = Shrinking()
    assert pool.least_loaded(lambda _: 0) == 'a'
    pool.workers = ('b',)
    assert pool.least_loaded(lambda _: 0) == 'b'


@given(loads=st.lists(st.integers(0, 5), min_size=1, max_size=8), concurrency=st.integers(1, 5))
def test_the_least_loaded_worker_has_the_fewest_items_of_all(loads: list[int], concurrency: int):
    """For any loads; None if all workers are full."""
    pool = FixedWorkerPool(list(range(len(loads))), concurrency)
    found = pool.least_loaded(loads.__getitem__)
    if min(loads) >= concurrency:
        assert found is None
    else:
        assert found == loads.index(min(loads))
