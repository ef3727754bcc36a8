"""Run the reference pipeline, with as many workers as the hardware has room for.

The package's own parameter file, an overlay for the hardware, and a count for each stage; the other
arguments are those of pipeline.launch.py.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration, PythonExpression

from worker_pipeline.launching import stages_of

SHARE = Path(get_package_share_directory('worker_pipeline'))
PARAMS_FILE = SHARE / 'config' / 'airside.yaml'
HARDWARE = SHARE / 'config' / 'hardware'


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, and include the other launch file."""
    stages = stages_of(PARAMS_FILE)
    hardware = LaunchConfiguration('hardware')
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'hardware',
                default_value='',
                choices=['', *sorted(each.stem for each in HARDWARE.glob('*.yaml'))],
                description='The computer on board: how many workers each stage has on it. Empty '
                'for what params_file says.',
            ),
            *(
                DeclareLaunchArgument(
                    f'{stage}_workers',
                    default_value='',
                    description=f'How many workers {stage} has, whatever the hardware.',
                )
                for stage in stages
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(PARAMS_FILE),
                description='YAML file with the parameters of the node manager.',
            ),
            IncludeLaunchDescription(
                str(SHARE / 'launch' / 'pipeline.launch.py'),
                launch_arguments={
                    'params_file': LaunchConfiguration('params_file'),
                    'overlay': PythonExpression(
                        [f"'{HARDWARE}/", hardware, ".yaml' if '", hardware, "' else ''"]
                    ),
                    # One that is empty says nothing of its stage.
                    'workers': [
                        part
                        for stage in stages
                        for part in (f' {stage}=', LaunchConfiguration(f'{stage}_workers'))
                    ],
                }.items(),
            ),
        ]
    )
