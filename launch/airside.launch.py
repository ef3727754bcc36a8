"""Run the reference pipeline: pipeline.launch.py with the package's own parameter file."""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare('worker_pipeline')


def generate_launch_description() -> LaunchDescription:
    """Give params_file a default; the other arguments are those of pipeline.launch.py."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution([SHARE, 'config', 'airside.yaml']),
                description='YAML file with the parameters of the node manager.',
            ),
            IncludeLaunchDescription(
                PathJoinSubstitution([SHARE, 'launch', 'pipeline.launch.py']),
                launch_arguments={'params_file': LaunchConfiguration('params_file')}.items(),
            ),
        ]
    )
