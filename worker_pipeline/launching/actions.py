# SPDX-License-Identifier: Apache-2.0
"""The arguments and the manager's process, shared by the launch files. Needs ``launch_ros``."""

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

from worker_pipeline.exit_codes import EXIT_ALREADY_RUNNING, EXIT_CLEAN, is_permanent
from worker_pipeline.launching.arguments import check_names, read_parameter_file

LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
RESPAWN_DELAY = 0.2  # s


def common_arguments() -> list[DeclareLaunchArgument]:
    """Return the arguments that every launch file has."""
    return [
        DeclareLaunchArgument(
            'overlay',
            default_value='',
            description='Another YAML file; its parameters override those of the other files.',
        ),
        DeclareLaunchArgument(
            'namespace',
            default_value='airside',
            description='Namespace of the manager, its stages and their workers.',
        ),
        DeclareLaunchArgument(
            'name',
            default_value='manager',
            description="Name of the manager's node, as in the files. Managers of one namespace on "
            'several machines need different names.',
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
            description='Whether accepted items survive a crash of the manager; empty: as in the '
            'files.',
        ),
        DeclareLaunchArgument(
            'respawn',
            default_value='false',
            choices=['true', 'false'],
            description='Restart the manager after a crash; it adopts its workers, which keep '
            'running.',
        ),
    ]


def check_command_line(
    context: LaunchContext, launch_file: str, arguments: Sequence[DeclareLaunchArgument]
) -> None:
    """Raise LaunchArgumentError if the command line has an argument that the file does not declare.

    Only for the launch file on the command line: one that is included does not see its own.

    Args:
        context: of the launch.
        launch_file: the path of the launch file.
        arguments: those that it declares.
    """
    if any(Path(each).name == Path(launch_file).name for each in sys.argv):
        check_names(context.argv, [each.name for each in arguments])


def manager(
    context: LaunchContext, params_files: Sequence[Path], workers: Mapping[str, int]
) -> list[Action]:
    """Return the actions that run a manager with the launch arguments.

    Args:
        context: of the launch.
        params_files: its parameter files; later ones override earlier ones.
        workers: the number of workers by stage; overrides the files.

    Raises:
        LaunchArgumentError: if the overlay cannot be read.
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
        # On SIGINT the manager drains and stops its workers, which may take more than launch's 5 s.
        sigterm_timeout='30',
        sigkill_timeout='15',
    )
    return [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_after_exit))]


def _after_exit(event: ProcessExited, _: LaunchContext) -> list[Action]:
    """Shut the launch down if the manager ended for good."""
    if is_permanent(event.returncode):
        cause = 'with this configuration'
        if event.returncode == EXIT_ALREADY_RUNNING:
            cause = 'beside another one in its namespace and domain'
        # A launch that is shut down succeeds; an exception makes it fail, and ends respawning.
        raise RuntimeError(f'the manager cannot run {cause}; nothing was started')
    if event.returncode == EXIT_CLEAN:
        return [EmitEvent(event=Shutdown(reason='the manager has exited'))]
    return []
