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


# What is a process's affair, not a node's: what it logs, and as whom it takes part in secured ROS.
OF_PROCESSES = frozenset(
    {
        *('-e', '--enclave', '--log-level', '--log-config-file', '--log-file-name'),
        *(
            f'--{switch}-{logs}-logs'
            for switch in ('enable', 'disable')
            for logs in ('rosout', 'stdout', 'external-lib')
        ),
    }
)


def _ros_options(arguments: Sequence[str]) -> list[tuple[str, ...]]:
    """What stands between ``--ros-args`` and its end: (flag, value), or (flag,) without one."""
    options: list[tuple[str, ...]] = []
    inside = False
    waiting = ''
    for argument in arguments:
        if inside and waiting:
            options.append((waiting, argument))
            waiting = ''
        elif argument == '--ros-args':
            inside = True
        elif argument == '--':
            inside = False
        elif inside and argument in WITH_VALUE:
            waiting = argument
        elif inside:
            options.append((argument,))
    return options


def stage_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """The manager's ROS arguments that hold for its stages' nodes too: remappings of topics.

    A remapping of the node's name or namespace is meant for the manager: taken over by every node
    of the process it would give them all one name.
    """
    kept = ['--ros-args']
    for flag, *values in _ros_options(arguments):
        value = ''.join(values)
        own = value.startswith(('__node:=', '__name:=', '__ns:='))
        if (flag in ('-r', '--remap') and not own and not value.startswith('manager:')) or (
            flag in ('-p', '--param') and value.startswith('use_sim_time:=')
        ):
            kept += [flag, value]
    return tuple(kept) if len(kept) > 1 else ()


def worker_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """The manager's ROS arguments that hold for its workers: of logs, and the enclave.

    Workers are processes of one pipeline, and take part in secured ROS with the same rights.
    """
    kept = ['--ros-args']
    for option in _ros_options(arguments):
        if option[0] in OF_PROCESSES:
            kept += option
    return tuple(kept) if len(kept) > 1 else ()
