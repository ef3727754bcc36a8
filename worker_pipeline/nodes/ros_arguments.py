"""Which of the manager's ROS arguments hold for its stages' nodes, and for its workers."""

from __future__ import annotations

from collections.abc import Sequence

# The flags that are followed by a value; the others stand alone.
WITH_VALUE = frozenset(
    {
        *('-r', '--remap', '-p', '--param', '--params-file', '-e', '--enclave'),
        *('--log-level', '--log-config-file', '--log-file-name'),
    }
)


def _ros_options(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """The (flag, value) pairs between ``--ros-args`` and its end."""
    pairs = []
    inside = False
    waiting = ''
    for argument in arguments:
        if inside and waiting:
            pairs.append((waiting, argument))
            waiting = ''
        elif argument == '--ros-args':
            inside = True
        elif argument == '--':
            inside = False
        elif inside and argument in WITH_VALUE:
            waiting = argument
    return pairs


def stage_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """The manager's ROS arguments that hold for its stages' nodes too: remappings of topics.

    A remapping of the node's name or namespace is meant for the manager: taken over by every node
    of the process it would give them all one name.
    """
    kept = ['--ros-args']
    for flag, value in _ros_options(arguments):
        own = value.startswith(('__node:=', '__name:=', '__ns:='))
        if (flag in ('-r', '--remap') and not own and not value.startswith('manager:')) or (
            flag in ('-p', '--param') and value.startswith('use_sim_time:=')
        ):
            kept += [flag, value]
    return tuple(kept) if len(kept) > 1 else ()


def worker_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """The manager's ROS arguments that hold for its workers: the log level."""
    kept = ['--ros-args']
    for flag, value in _ros_options(arguments):
        if flag == '--log-level':
            kept += [flag, value]
    return tuple(kept) if len(kept) > 1 else ()
