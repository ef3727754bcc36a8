# SPDX-License-Identifier: Apache-2.0
"""What a running manager makes anew of its folder, in which order, and when it gives up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.folder_repair import DISPUTE_TIMEOUT, FolderRepair, Part, describe_parts

parts = st.sets(st.sampled_from(Part))


@given(missing=parts)
def test_what_is_missing_is_made_in_the_order_in_which_it_can_be(missing):
    """The folder first, its lock before what that protects."""
    plan = FolderRepair().plan(missing)
    assert plan == sorted(plan, key=[*Part].index)
    assert set(plan) >= missing
    if Part.FOLDER not in missing:
        assert set(plan) == missing


@given(missing=parts)
def test_nothing_in_another_folder_is_taken_for_our_own(missing):
    """It may be a copy, with a journal and a socket of earlier."""
    assert FolderRepair().plan(missing | {Part.FOLDER}) == [*Part]


def test_a_manager_that_is_being_refused_may_have_the_lock_for_a_while():
    """It takes the folder's lock first, and finds out about this manager a second later."""
    repair = FolderRepair()
    assert not repair.lock_taken(10.0)
    assert not repair.lock_taken(10.0 + DISPUTE_TIMEOUT)
    repair.lock_held()
    assert not repair.lock_taken(20.0)
    assert not repair.lock_taken(20.0 + DISPUTE_TIMEOUT)


def test_a_manager_whose_folder_is_another_ones_ends():
    """Two would answer each item twice."""
    repair = FolderRepair()
    assert not repair.lock_taken(10.0)
    assert repair.lock_taken(10.1 + DISPUTE_TIMEOUT)


def test_parts_in_words():
    assert describe_parts([Part.LOCK, Part.SOCKET]) == 'its lock, socket'
