# SPDX-License-Identifier: Apache-2.0
"""The dedup window, beside an ordered dictionary of keys."""

from __future__ import annotations

import marshal
import tracemalloc
from collections import OrderedDict
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core import dedup_window
from worker_pipeline.core.dedup_window import DedupWindow
from worker_pipeline.core.item import ItemKey

KEYS = st.builds(
    ItemKey, st.sampled_from(['a', 'b']), st.integers(0, 12) | st.just(2**62), st.integers(0, 1)
)


@given(st.integers(1, 6), st.integers(1, 4), st.lists(KEYS))
def test_it_has_the_last_keys_in_the_order_of_their_arrival(capacity, forgotten, keys):
    with mock.patch.object(dedup_window, '_FORGOTTEN', forgotten):
        check_against_a_dictionary(capacity, keys)


def check_against_a_dictionary(capacity, keys):
    window, model = DedupWindow(capacity), OrderedDict()
    for key in keys:
        assert (key in window) == (key in model)
        if key not in model:
            window.add(key)
            model[key] = None
            if len(model) > capacity:
                model.popitem(last=False)
        assert list(window) == list(model)
        assert len(window) == len(model)


def test_streams_that_have_left_the_window_take_no_memory():
    window = DedupWindow(3)
    for run in range(100):
        window.add(ItemKey('a', 1, run))
    assert len(window._streams) == len(window._by_number) == 3


def test_a_window_that_fills_takes_less_than_twenty_bytes_a_key():
    tracemalloc.start()
    try:
        window = DedupWindow(4096)
        before = tracemalloc.get_traced_memory()[0]
        for stamp in range(4096):
            window.add(ItemKey('video_input', 1_700_000_000_000_000_000 + stamp, 0))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(window) == 4096
    assert grown < 20 * 4096


@given(
    st.lists(st.tuples(st.sampled_from('ab'), st.integers(1, 60), st.integers(0, 1)), unique=True)
)
def test_a_snapshot_has_all_keys_in_their_order(keys):
    window = DedupWindow(8)
    for source, stamp, run in keys:
        window.add(ItemKey(source, stamp, run))
    restored = DedupWindow(8)
    restored.restore(marshal.loads(marshal.dumps(window.snapshot())))
    assert list(restored) == list(window) == [ItemKey(*each) for each in keys][-8:]
    assert all((key in restored) == (key in window) for key in window)


def test_a_snapshot_is_no_object_for_each_key():
    """A checkpoint of the journal takes one of each stage; the heap keeps what that needs."""
    window = DedupWindow(4096)
    for stamp in range(1, 4097):
        window.add(ItemKey('input', stamp * 10**9))
    tracemalloc.start()
    kept = window.snapshot()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept
    assert peak < 200_000


@given(st.integers(1, 6), st.integers(1, 6), st.lists(KEYS, unique=True), st.lists(KEYS))
def test_a_restored_window_goes_on_as_the_one_that_was_saved(before, after, first, then):
    """Also one with another capacity: it has the last keys."""
    window = DedupWindow(before)
    for key in first:
        window.add(key)
    restored, model = DedupWindow(after), DedupWindow(after)
    restored.restore(window.snapshot())
    for key in window:
        model.add(key)
    for key in then:
        assert (key in restored) == (key in model)
        if key not in model:
            restored.add(key)
            model.add(key)
        assert list(restored) == list(model)
