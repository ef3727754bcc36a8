"""Run the manager with any parameter file. It starts and owns the workers itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from worker_pipeline.launching import stages_of, worker_counts

LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'fatal']
# A stop in order, and a configuration with which nothing was started: neither is mended by
# starting it again.
FINAL_EXIT_CODES = (0, 2)
RESPAWN_DELAY = 0.2  # s


def _manager(context: LaunchContext) -> list[Any]:
    """The manager, with the arguments as they are now. An argument that cannot be raises."""
    given = {
        name: LaunchConfiguration(name).perform(context)
        for name in ('params_file', 'overlay', 'workers', 'namespace', 'log_level', 'journal')
    }
    params_file = Path(given['params_file'])
    counts = worker_counts(given['workers'], stages_of(params_file))
    overrides: dict[str, Any] = {f'{stage}.workers': count for stage, count in counts.items()}
    if given['journal']:
        overrides['journal'] = given['journal'] == 'true'
    files = [str(params_file), *([given['overlay']] if given['overlay'] else [])]
    node = Node(
        package='worker_pipeline',
        executable='manager',
        name='manager',
        namespace=given['namespace'],
        parameters=[*files, *([overrides] if overrides else [])],
        ros_arguments=['--log-level', given['log_level']],
        output='screen',
        respawn=LaunchConfiguration('respawn'),
        respawn_delay=RESPAWN_DELAY,
        # On SIGINT the manager drains, then stops its workers: more than launch's 5 s.
        sigterm_timeout='30',
        sigkill_timeout='15',
    )
    return [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_after_exit))]


def _after_exit(event: ProcessExited, _: LaunchContext) -> list[EmitEvent]:
    if event.returncode not in FINAL_EXIT_CODES:
        return []
    return [EmitEvent(event=Shutdown(reason=f'the manager ended with {event.returncode}'))]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, and start the manager with them."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'params_file', description='YAML file with the parameters of the node manager.'
            ),
            DeclareLaunchArgument(
                'overlay',
                default_value='',
                description='A second such file, whose parameters hold where both have them.',
            ),
            DeclareLaunchArgument(
                'workers',
                default_value='',
                description="How many workers stages have: 'detect_target=3 geolocation=2'. "
                'The others have as many as the files say.',
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
            DeclareLaunchArgument(
                'journal',
                default_value='',
                choices=['', 'true', 'false'],
                description='Whether accepted items survive a crash of the manager; empty for '
                'what the files say.',
            ),
            DeclareLaunchArgument(
                'respawn',
                default_value='false',
                choices=['true', 'false'],
                description='Start the manager again when it has crashed; its workers live on, '
                'and it goes on with them.',
            ),
            OpaqueFunction(function=_manager),
        ]
    )
