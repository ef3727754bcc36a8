"""A short storm: every kind of death and hang, and of the manager too; no promise is broken."""

from __future__ import annotations

import os

os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

import pytest
from storm.course import Settings, run
from support.domains import own_domain


@pytest.mark.timeout(200)
def test_a_storm_loses_nothing_doubles_nothing_and_keeps_the_order(tmp_path):
    """What is needed to understand a bad one is in its folder: log, parameters, history."""
    settings = Settings(
        items=200,
        seed=1,
        kill_period=0.3,
        manager_kill_period=1.5,
        manager_kills=3,
        rate=30.0,
        startup_timeout=4.0,
        stall=30.0,
    )
    with own_domain() as domain:
        outcome = run(settings, domain, tmp_path)
    told = '\n'.join([*outcome.told(), f'the history is in {tmp_path}'])
    assert outcome.good, told
    assert outcome.figures['delivered'] + outcome.figures['quarantined'] == 200
    # Else it was none.
    assert outcome.figures['manager killed'] >= 2, outcome.figures
    assert sum(outcome.figures['blows'].values()) >= 10, outcome.figures
