# SPDX-License-Identifier: Apache-2.0
"""The effects of the manager's ROS arguments on all its processes."""

from __future__ import annotations

from pathlib import Path

from support.configuring import stage

from worker_pipeline.testing import wait_for


def test_every_process_is_in_the_enclave_and_writes_no_log_file(start, observer, tmp_path: Path):
    """The manager, its stages, its workers and its spare."""

    def enclaves() -> dict[str, str]:
        nodes = observer.node.get_node_names_and_namespaces_with_enclaves()
        return {name.rstrip('0123456789'): enclave for name, _, enclave in nodes}

    start(
        {'stages': ['echo'], 'echo': stage('Echo')},
        arguments=['--enclave', '/drone', '--disable-external-lib-logs'],
    )
    ours = dict.fromkeys(['manager', 'echo', 'worker_', '_spare_'], '/drone')
    wait_for(lambda: enclaves() == {'probe': '/', **ours}, 'all of them', seen=enclaves)
    assert not list((tmp_path / 'run' / 'ros_log').glob('*'))
