# SPDX-License-Identifier: Apache-2.0
"""The dedup window, beside an ordered dictionary of keys."""

from __future__ import annotations

import tracemalloc
from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.dedup_window import DedupWindow
from worker_pipeline.core.item import ItemKey

KEYS = st.builds(
    ItemKey, st.sampled_from(['a', 'b']), st.integers(0, 12) | st.just(2**62), st.integers(0, 1)
)


@given(st.integers(1, 6), st.lists(KEYS))
def test_it_has_the_last_keys_in_the_order_of_their_arrival(capacity, keys):
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
    assert len(window._sorted) == len(window._numbers) == len(window._streams) == 3


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


@given(st.integers(1, 6), st.integers(1, 6), st.lists(KEYS, unique=True), st.lists(KEYS))
def test_a_restored_window_goes_on_as_the_one_that_was_saved(before, after, first, then):
    """Also one with another capacity: it has the last keys."""
    window = DedupWindow(before)
    for key in first:
        window.add(key)
    restored, model = DedupWindow(after), DedupWindow(after)
    restored.restore(window.plain())
    for key in window:
        model.add(key)
    for key in then:
        assert (key in restored) == (key in model)
        if key not in model:
            restored.add(key)
            model.add(key)
        assert list(restored) == list(model)
        assert restored.plain() == [tuple(each) for each in model]
