"""What the launch files share: arguments, and the manager's process. Needs ``launch_ros``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch import LaunchContext
from launch.action import Action
from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from worker_pipeline.exit_codes import EXIT_BAD_CONFIGURATION
from worker_pipeline.launching.arguments import check_names, read_parameter_file

LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
STOPPED_IN_ORDER = 0
RESPAWN_DELAY = 0.2  # s


def common_arguments() -> list[DeclareLaunchArgument]:
    """The arguments of every launch file."""
    return [
        DeclareLaunchArgument(
            'overlay',
            default_value='',
            description='One more YAML file, whose parameters hold where several files have them.',
        ),
        DeclareLaunchArgument(
            'namespace',
            default_value='airside',
            description='Namespace of the manager, its stages and their workers.',
        ),
        DeclareLaunchArgument(
            'name',
            default_value='manager',
            description="Name of the manager's node, whose parameters the files have. Managers of "
            'one namespace on several machines need names of their own.',
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
            description='Whether accepted items survive a crash of the manager; empty for what '
            'the files say.',
        ),
        DeclareLaunchArgument(
            'respawn',
            default_value='false',
            choices=['true', 'false'],
            description='Start the manager again when it has crashed; its workers live on, and it '
            'goes on with them.',
        ),
    ]


def check_command_line(
    context: LaunchContext, launch_file: str, arguments: Sequence[DeclareLaunchArgument]
) -> None:
    """Raises LaunchArgumentError for an argument that this launch file does not have.

    Only where it is the one that was launched: who includes it has arguments of his own.
    """
    if any(Path(each).name == Path(launch_file).name for each in sys.argv):
        check_names(context.argv, [each.name for each in arguments])


def manager(
    context: LaunchContext, params_files: Sequence[Path], workers: Mapping[str, int]
) -> list[Action]:
    """The manager, with the arguments as they are now. Raises LaunchArgumentError.

    ``params_files``: later ones hold where several have a parameter. ``workers``: by stage.
    """
    given = {
        name: LaunchConfiguration(name).perform(context)
        for name in ('overlay', 'namespace', 'name', 'log_level', 'journal')
    }
    files = [str(each) for each in params_files]
    if given['overlay']:
        read_parameter_file('overlay', Path(given['overlay']))
        files.append(given['overlay'])
    overrides: dict[str, Any] = {f'{stage}.workers': count for stage, count in workers.items()}
    if given['journal']:
        overrides['journal'] = given['journal'] == 'true'
    node = Node(
        package='worker_pipeline',
        executable='manager',
        name=given['name'],
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


def _after_exit(event: ProcessExited, _: LaunchContext) -> list[Action]:
    """End the launch where it would not help to start the manager again."""
    if event.returncode == EXIT_BAD_CONFIGURATION:
        # A launch that is shut down succeeds. This one has not.
        raise RuntimeError('the manager cannot run with this configuration; nothing was started')
    if event.returncode == STOPPED_IN_ORDER:
        return [EmitEvent(event=Shutdown(reason='the manager has ended'))]
    return []
