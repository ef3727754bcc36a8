# SPDX-License-Identifier: Apache-2.0
"""Run a manager with any parameter file; the manager starts the workers itself."""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from worker_pipeline.launching.actions import check_command_line, common_arguments, manager
from worker_pipeline.launching.arguments import stages_of, worker_counts

ARGUMENTS = [
    DeclareLaunchArgument(
        'params_file', description='YAML file with the parameters of the node manager.'
    ),
    DeclareLaunchArgument(
        'workers',
        default_value='',
        description="Numbers of workers, as in 'detect_target=3 geolocation=2'; other stages have "
        'the numbers in the files.',
    ),
    *common_arguments(),
]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the manager."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_manager)])


def _manager(context: LaunchContext) -> list[Action]:
    check_command_line(context, __file__, ARGUMENTS)
    params_file = Path(LaunchConfiguration('params_file').perform(context))
    workers = LaunchConfiguration('workers').perform(context)
    return manager(context, [params_file], worker_counts(workers, stages_of(params_file)))
