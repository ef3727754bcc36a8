# SPDX-License-Identifier: Apache-2.0
"""What a subscription demands, as publishers come and go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.matched_qos import (
    LOOK_PERIOD,
    REST_PERIOD,
    SETTLE_TIME,
    Demand,
    MatchedQos,
    Offer,
)

GOOD, POOR, LATCHED = (
    Offer('good', True, False),
    Offer('poor', False, False),
    Offer('latched', True, True),
)
PLAIN, BEST_EFFORT, ALL = Demand(True, False), Demand(False, False), Demand(True, True)


@pytest.fixture
def qos():
    return MatchedQos(0.0)


@pytest.mark.parametrize(
    ('offers', 'demand'),
    [
        ([], PLAIN),
        ([GOOD], PLAIN),
        ([POOR], BEST_EFFORT),
        ([LATCHED], ALL),
        ([GOOD, POOR], BEST_EFFORT),
        ([GOOD, LATCHED], PLAIN),
        ([POOR, LATCHED], BEST_EFFORT),
        ([Offer('both', False, True)], Demand(False, True)),
    ],
)
def test_the_demand_is_what_all_publishers_offer(qos, offers, demand):
    assert qos.look(offers, 0.0) == demand


@pytest.mark.parametrize('left', [[], [GOOD]])
def test_it_is_reliable_again_without_the_best_effort_publisher(qos, left):
    """An input stayed best-effort for good, and lost a fifth of a reliable burst."""
    assert qos.look([POOR, *left], 0.0) == BEST_EFFORT
    assert qos.look(left, 1.0) == PLAIN
    assert qos.look([POOR], 2.0) == BEST_EFFORT
    assert qos.look([GOOD], 3.0) == PLAIN


def test_a_refusal_counts_until_the_publisher_is_listed(qos):
    """DDS may know it before the graph does."""
    qos.refuse_reliability(1.0)
    assert qos.look([GOOD], 1.0) == BEST_EFFORT
    assert qos.look([GOOD, POOR], 2.0) == BEST_EFFORT
    assert qos.look([GOOD], 2.1) == PLAIN


def test_a_refusal_by_a_publisher_that_is_never_listed_is_forgotten(qos):
    """It came and went between two looks."""
    qos.refuse_reliability(1.0)
    assert qos.look([], 1.0 + SETTLE_TIME - 0.1) == BEST_EFFORT
    assert qos.look([], 1.0 + SETTLE_TIME) == PLAIN


def test_a_refused_durability_counts_too(qos):
    assert qos.look([LATCHED], 0.0) == ALL
    qos.refuse_durability(1.0)
    assert qos.look([LATCHED], 1.0) == PLAIN
    assert qos.look([LATCHED, GOOD], 1.5) == PLAIN


def test_latched_messages_are_not_demanded_twice_of_one_publisher(qos):
    """It would repeat all that it has kept."""
    assert qos.look([LATCHED], 0.0) == ALL
    assert qos.look([LATCHED, GOOD], 1.0) == PLAIN
    assert qos.look([LATCHED], 2.0) == PLAIN
    assert qos.look([], 3.0) == PLAIN
    assert qos.look([LATCHED], 4.0) == ALL


def test_latched_messages_of_a_new_publisher_are_demanded(qos):
    """A volatile one was there once."""
    assert qos.look([GOOD], 0.0) == PLAIN
    assert qos.look([LATCHED], 1.0) == ALL
    assert qos.look([LATCHED], 2.0) == ALL


def test_the_graph_is_looked_at_often_after_a_change_and_rarely_otherwise(qos):
    qos.look([], 0.0)
    assert not qos.is_due(LOOK_PERIOD - 0.01)
    assert qos.is_due(LOOK_PERIOD)
    qos.look([], 10.0)
    assert not qos.is_due(10.0 + REST_PERIOD - 0.01)
    assert qos.is_due(10.0 + REST_PERIOD)
    qos.publishers_changed(10.5)
    assert qos.is_due(10.5)


def test_the_look_after_a_refusal_has_been_forgotten_is_not_late(qos):
    qos.refuse_reliability(10.0)
    qos.look([], 10.0 + SETTLE_TIME - 0.01)
    assert qos.is_due(10.0 + SETTLE_TIME + LOOK_PERIOD - 0.01)


OFFERS = st.lists(
    st.builds(Offer, st.integers(0, 5), st.booleans(), st.booleans()),
    unique_by=lambda each: each.publisher,
)


@given(st.lists(st.tuples(OFFERS, st.sampled_from(['', 'reliability', 'durability']))), OFFERS)
def test_every_publisher_matches_after_any_history(history, offers):
    """Nothing is demanded that one of them does not offer, and reliability if all do."""
    qos, now = MatchedQos(0.0), 0.0
    for former, refused in history:
        now += 1.0
        if refused:
            getattr(qos, f'refuse_{refused}')(now)
        demand = qos.look(former, now)
        assert not demand.is_reliable or all(each.is_reliable for each in former)
        assert not demand.is_latched or (former and all(each.is_latched for each in former))
    demand = qos.look(offers, now + SETTLE_TIME)
    assert demand.is_reliable == all(each.is_reliable for each in offers)
    assert not demand.is_latched or (offers and all(each.is_latched for each in offers))
