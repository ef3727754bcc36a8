# SPDX-License-Identifier: Apache-2.0
"""What a subscription demands of its publishers, as these come and go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.matched_qos import MatchedQos, Qos

RELIABLE = Qos(is_reliable=True, is_latched=False)
BEST_EFFORT = Qos(is_reliable=False, is_latched=False)
LATCHED = Qos(is_reliable=True, is_latched=True)


def test_without_a_publisher_it_is_reliable_and_not_latched():
    assert MatchedQos().demand([]) == RELIABLE


def test_a_best_effort_publisher_counts_before_it_is_listed():
    qos = MatchedQos()
    qos.refuse_reliability()
    assert qos.demand([]) == BEST_EFFORT
    assert qos.demand([RELIABLE]) == BEST_EFFORT
    assert qos.demand([RELIABLE, BEST_EFFORT]) == BEST_EFFORT


def test_once_it_is_gone_the_subscription_is_reliable_again():
    """It stayed best-effort for good, and lost a fifth of a reliable burst."""
    qos = MatchedQos()
    qos.refuse_reliability()
    assert qos.demand([BEST_EFFORT]) == BEST_EFFORT
    assert qos.demand([]) == RELIABLE
    assert qos.demand([RELIABLE]) == RELIABLE


def test_a_publisher_that_is_gone_before_it_was_listed_is_forgotten():
    qos = MatchedQos()
    qos.refuse_reliability()
    qos.refuse_durability()
    assert qos.demand([LATCHED]) == BEST_EFFORT
    qos.settle()
    assert qos.demand([LATCHED]) == LATCHED


def test_a_volatile_publisher_beside_a_latched_one():
    qos = MatchedQos()
    qos.refuse_durability()
    assert qos.demand([LATCHED]) == RELIABLE
    assert qos.demand([LATCHED, RELIABLE]) == RELIABLE
    assert qos.demand([LATCHED]) == LATCHED


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([RELIABLE, BEST_EFFORT, LATCHED]), max_size=3),
            st.booleans(),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_it_matches_every_listed_publisher_and_in_the_end_demands_all_that_they_offer(history):
    qos = MatchedQos()
    offers: list[Qos] = []
    for offers, reliability_refused, durability_refused in history:
        if reliability_refused:
            qos.refuse_reliability()
        if durability_refused:
            qos.refuse_durability()
        demand = qos.demand(offers)
        assert all(each.is_reliable or not demand.is_reliable for each in offers)
        assert all(each.is_latched or not demand.is_latched for each in offers)
    qos.settle()
    assert qos.demand(offers) == Qos(
        is_reliable=all(each.is_reliable for each in offers),
        is_latched=bool(offers) and all(each.is_latched for each in offers),
    )
