"""Run the manager with any parameter file. It starts and owns the workers itself."""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'fatal']


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, and start the manager with them."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'params_file', description='YAML file with the parameters of the node manager.'
            ),
            DeclareLaunchArgument(
                'namespace',
                default_value='airside',
                description='Namespace of the manager, its stages and their workers.',
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                choices=LOG_LEVELS,
                description='Log level of the manager, its stages and their workers.',
            ),
            Node(
                package='worker_pipeline',
                executable='manager',
                name='manager',
                namespace=LaunchConfiguration('namespace'),
                parameters=[LaunchConfiguration('params_file')],
                ros_arguments=['--log-level', LaunchConfiguration('log_level')],
                output='screen',
                # On SIGINT the manager drains, then stops its workers: more than launch's 5 s.
                sigterm_timeout='30',
                sigkill_timeout='15',
            ),
        ]
    )
