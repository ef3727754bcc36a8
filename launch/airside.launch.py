# SPDX-License-Identifier: Apache-2.0
"""Run the reference pipeline, with numbers of workers for the hardware."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

from worker_pipeline.launching.actions import check_command_line, common_arguments, manager
from worker_pipeline.launching.arguments import check_stage, stages_of, worker_count

CONFIG = Path(get_package_share_directory('worker_pipeline')) / 'config'
PARAMS_FILE = CONFIG / 'airside.yaml'
HARDWARE = {each.stem: each for each in sorted((CONFIG / 'hardware').glob('*.yaml'))}
STAGES = stages_of(PARAMS_FILE)
ARGUMENTS = [
    DeclareLaunchArgument(
        'hardware',
        default_value='',
        choices=['', *HARDWARE],
        description='The computer on board, which sets the number of workers of each stage; empty: '
        'as in params_file.',
    ),
    *(
        DeclareLaunchArgument(
            f'{stage}_workers',
            default_value='',
            description=f'Number of workers of {stage}, whatever the hardware.',
        )
        for stage in STAGES
    ),
    DeclareLaunchArgument(
        'params_file',
        default_value=str(PARAMS_FILE),
        description='YAML file with the parameters of the node manager.',
    ),
    *common_arguments(),
]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the manager."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_manager)])


def _manager(context: LaunchContext) -> list[Action]:
    check_command_line(context, __file__, ARGUMENTS)
    params_file = Path(LaunchConfiguration('params_file').perform(context))
    hardware = LaunchConfiguration('hardware').perform(context)
    stages, counts = stages_of(params_file), {}
    for stage in STAGES:
        argument = f'{stage}_workers'
        count = LaunchConfiguration(argument).perform(context)
        if count:
            check_stage(argument, stage, stages)
            counts[stage] = worker_count(argument, count)
    return manager(context, [params_file, *([HARDWARE[hardware]] if hardware else [])], counts)
