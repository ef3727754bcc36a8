# SPDX-License-Identifier: Apache-2.0
"""Short storms of pauses: nobody is killed or blamed, and no output is missed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.storm_process import run_storm


def paused(*arguments: str, timeout: float = 170.0) -> list[dict[str, Any]]:
    """Pause a pipeline as the storm does; return what came of each pause."""
    printed = run_storm('storm.pause_run', *arguments, '--seed', '1', timeout=timeout)
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.timeout(240)
def test_nobody_dies_of_a_pause():
    """Of everybody or of the workers alone, longer than heartbeat_timeout."""
    kinds = 'whole', 'workers', 'manager first', 'workers first'
    found = paused(','.join(kinds), '2')
    assert [each['kind'] for each in found] == [*kinds]
    assert not any(each['replaced'] or each['quarantined'] for each in found), found
    assert not any(each['redelivered'] or each['missed'] for each in found), found


@pytest.mark.timeout(240)
@pytest.mark.parametrize('option', ['--plain', '--journal'])
def test_no_output_is_missed_when_the_manager_stands_still(option):
    """For longer than its subscribers wait, 5 s: plain ones, and those of this package."""
    (found,) = paused('manager', '7', option)
    assert (found['missed'], found['replaced']) == (0, 0), found
    assert found['told']


@pytest.mark.storm
@pytest.mark.timeout(600)
@pytest.mark.parametrize('option', ['--plain', '--journal'])
def test_an_outside_node_finds_the_manager_again_after_each_pause(option):
    """Longer than the lease. Fast DDS left one in five managers half known, for good."""
    found = paused('whole', '12', option, '--repeats', '5', timeout=500)
    assert len(found) == 5
    assert all(each['recovery'] < 30.0 for each in found), found
    assert not any(each['replaced'] or each['quarantined'] for each in found), found
    assert all(each['missed'] <= each['counted'] for each in found), found
