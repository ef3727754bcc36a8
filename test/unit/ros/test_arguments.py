# SPDX-License-Identifier: Apache-2.0
"""Which of the manager's ROS arguments are passed to its stages and workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.ros.arguments import stage_arguments, worker_arguments


@pytest.mark.parametrize(
    ('arguments', 'kept'),
    [
        ('', ''),
        ('-r a:=b', ''),
        ('--ros-args -r a:=b --remap c:=d', '-r a:=b --remap c:=d'),
        ('--ros-args -r __ns:=/x -r __node:=y -r __name:=z -r a:=b', '-r a:=b'),
        ('--ros-args -r manager:a:=b -r echo:a:=b', '-r echo:a:=b'),
        ('--ros-args -p spares:=1 -p use_sim_time:=true', ''),
        ('--ros-args --params-file x.yaml --log-level debug', ''),
        ('--ros-args -r a:=b -- -r c:=d --ros-args -r e:=f', '-r a:=b -r e:=f'),
        # Flags without a value do not consume the next one.
        ('--ros-args --disable-rosout-logs -r a:=b', '-r a:=b'),
        ('--ros-args -r', ''),
        ('-r --ros-args -r a:=b', '-r a:=b'),
    ],
)
def test_stages_get_remappings_of_topics(arguments: str, kept: str):
    """And simulated time, but neither node names nor the manager's parameters."""
    expected = ('--ros-args', *kept.split()) if kept else ()
    assert stage_arguments(arguments.split()) == expected


@pytest.mark.parametrize(
    ('arguments', 'kept'),
    [
        ('--ros-args -r a:=b', ''),
        ('--ros-args --log-level debug -r a:=b', '--log-level debug'),
        ('--ros-args -p a:=1 --log-level a:=info --params-file x', '--log-level a:=info'),
        ('--ros-args --disable-external-lib-logs -r a:=b', '--disable-external-lib-logs'),
        ('--ros-args --enclave /drone -r a:=b', '--enclave /drone'),
        ('--ros-args -e /drone --log-level debug', '-e /drone --log-level debug'),
        ('-e /drone --disable-external-lib-logs', ''),
    ],
)
def test_workers_get_the_log_settings_and_the_enclave(arguments: str, kept: str):
    """Everything else comes from their stage."""
    expected = ('--ros-args', *kept.split()) if kept else ()
    assert worker_arguments(arguments.split()) == expected


WORDS = st.sampled_from(['--ros-args', '--', '-r', '-p', '--log-level', '-x', 'a:=b', '', '__ns:='])


@given(st.lists(WORDS | st.text(max_size=4)))
def test_any_arguments_are_handled(arguments: list[str]):
    """The selected options are complete and in the given order."""
    for kept in (stage_arguments(arguments), worker_arguments(arguments)):
        assert not kept or (kept[0] == '--ros-args' and len(kept) % 2 == 1)
        rest = iter(arguments)
        assert all(word in rest for word in kept[1:])
