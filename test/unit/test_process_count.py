# SPDX-License-Identifier: Apache-2.0
"""A configuration needs no more processes than a ROS domain has participant numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.config import ConfigurationError, check_process_count, load
from worker_pipeline.ros import dds
from worker_pipeline.ros.dds_profile import Transports
from worker_pipeline.ros.rtps import user_port

SETTINGS = dds.Settings(str(Path('fastdds.xml')), Transports(loopback=True))


def configured(workers: list[int], standby: int = 0, spares: int = 0):
    names = [f's{number}' for number in range(len(workers))]
    values = {'stages': names, 'spares': spares}
    for name, count in zip(names, workers, strict=True):
        values |= {f'{name}.plugin': 'a:B', f'{name}.workers': count, f'{name}.standby': standby}
    return load(values)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=12), st.integers(0, 3), st.integers(0, 8))
def test_the_sum_of_all_processes_counts(workers: list[int], standby: int, spares: int):
    """Workers, standbys and spares; the limit itself is allowed."""
    config = configured(workers, standby, spares)
    count = sum(workers) + standby * len(workers) + spares
    check_process_count(config, count)
    check_process_count(config, None)
    with pytest.raises(ConfigurationError, match=f'found {count} processes in all'):
        check_process_count(config, count - 1)


def test_the_error_names_the_parts_the_limit_and_what_to_do():
    """A hundred stages of ten workers were accepted, and most of these never became ready."""
    with pytest.raises(ConfigurationError) as caught:
        check_process_count(configured([10] * 100, spares=1), 78)
    (problem,) = caught.value.problems
    assert problem.startswith(
        'stages: found 1001 processes in all (1000 workers, 0 standbys, 1 spares); '
        'allowed: up to 78 in this ROS domain'
    )
    assert not caught.value.may_pass


@pytest.mark.parametrize(('domain', 'limit'), [('0', 78), ('101', 78), ('232', 22)])
def test_each_process_within_the_limit_has_a_number_of_its_own(monkeypatch, domain, limit):
    """And the one more that there may be during a replacement; in the last domain ports end."""
    monkeypatch.setenv('ROS_DOMAIN_ID', domain)
    assert dds.worker_limit(SETTINGS) == limit
    numbers = dds.participant_numbers(12345)
    found = {next(numbers) for _ in range(limit + 1)}
    assert len(found) == limit + 1
    assert all(user_port(int(domain), number) <= 65535 for number in found)


def test_numbers_that_the_user_has_chosen_are_not_counted():
    """Another middleware or profile has limits of its own."""
    assert dds.worker_limit(None) is None
