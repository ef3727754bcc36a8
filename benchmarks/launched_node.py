# SPDX-License-Identifier: Apache-2.0
"""A peer: ROS 2's launch, which respawns a plain node. Needs launch.

``python -m benchmarks.launched_node --ros-args -r __node:=plain_0 -r __ns:=/airside``
"""

from __future__ import annotations

import sys

from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess


def main() -> int:
    """Run until a signal arrives."""
    command = [sys.executable, '-m', 'benchmarks.plain_node', *sys.argv[1:]]
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        LaunchDescription([ExecuteProcess(cmd=command, respawn=True, output='log')])
    )
    return int(service.run())


if __name__ == '__main__':
    sys.exit(main())
