# SPDX-License-Identifier: Apache-2.0
"""Checks which stages a graph finds before, after and around a stage."""

from __future__ import annotations

from graphlib import CycleError

import pytest

from worker_pipeline.core.graph import StageGraph

# Two sources; the first feeds both sides of a diamond, the second only one. One stage stands alone.
DIAMOND = StageGraph(
    {
        'last': ['left', 'right'],
        'left': ['camera'],
        'right': ['camera', 'vehicle'],
        'camera': [],
        'vehicle': [],
        'alone': [],
    }
)


def test_stages_keep_the_order_of_the_configuration():
    """It is the order of the mapping, whichever stage feeds which."""
    assert DIAMOND.stages == ('last', 'left', 'right', 'camera', 'vehicle', 'alone')


def test_from_the_sources_each_stage_follows_all_that_feed_it():
    """Every stage is there, once."""
    order = DIAMOND.from_the_sources
    assert sorted(order) == sorted(DIAMOND.stages)
    for stage in DIAMOND.stages:
        for feeding in DIAMOND.upstream(stage):
            assert order.index(feeding) < order.index(stage)


def test_upstream_stages_are_those_that_feed_a_stage_directly():
    """They keep the order of the inputs."""
    assert DIAMOND.upstream('right') == ('camera', 'vehicle')
    assert DIAMOND.upstream('last') == ('left', 'right')
    assert DIAMOND.upstream('camera') == ()


def test_a_stage_named_twice_as_an_input_feeds_once():
    """Its outputs are forwarded once."""
    graph = StageGraph({'a': [], 'b': ['a', 'a']})
    assert graph.upstream('b') == ('a',)
    assert graph.followers('a') == ('b',)


def test_followers_are_the_stages_that_a_stage_feeds_directly():
    """They keep the order of the configuration."""
    assert DIAMOND.followers('camera') == ('left', 'right')
    assert DIAMOND.followers('vehicle') == ('right',)
    assert DIAMOND.followers('last') == ()


def test_downstream_are_all_stages_that_items_can_reach():
    """The stage itself and its siblings are not among them."""
    assert DIAMOND.downstream('camera') == {'left', 'right', 'last'}
    assert DIAMOND.downstream('vehicle') == {'right', 'last'}
    assert DIAMOND.downstream('left') == {'last'}
    assert DIAMOND.downstream('last') == set()


def test_before_are_all_stages_whose_items_can_reach_a_stage():
    """As downstream, the other way round."""
    for stage in DIAMOND.stages:
        reaching = {each for each in DIAMOND.stages if stage in DIAMOND.downstream(each)}
        assert DIAMOND.before(stage) == reaching
    assert DIAMOND.before('last') == {'camera', 'vehicle', 'left', 'right'}


def test_connected_are_all_stages_linked_in_any_direction():
    """A source is connected with another source through a common follower."""
    rest = {'camera', 'vehicle', 'left', 'right', 'last'}
    for stage in rest:
        assert DIAMOND.connected(stage) == rest
    assert DIAMOND.connected('alone') == {'alone'}


@pytest.mark.parametrize('inputs', [{'a': ['a']}, {'a': ['b'], 'b': ['c'], 'c': ['a']}])
def test_a_circle_is_an_error(inputs: dict[str, list[str]]):
    """A stage may not be fed by its own outputs."""
    with pytest.raises(CycleError):
        StageGraph(inputs)
