# SPDX-License-Identifier: Apache-2.0
"""Selects which of the manager's ROS arguments apply to its stages and its workers."""

from __future__ import annotations

from collections.abc import Sequence

# Flags that are followed by a value.
FLAGS_WITH_VALUE = frozenset(
    {
        *('-r', '--remap', '-p', '--param', '--params-file', '-e', '--enclave'),
        *('--log-level', '--log-config-file', '--log-file-name'),
    }
)

# Flags of a process rather than a node: its logging, and its enclave in secured ROS.
PROCESS_FLAGS = frozenset(
    {
        *('-e', '--enclave', '--log-level', '--log-config-file', '--log-file-name'),
        *(
            f'--{switch}-{logs}-logs'
            for switch in ('enable', 'disable')
            for logs in ('rosout', 'stdout', 'external-lib')
        ),
    }
)


def ros_options(arguments: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the options between ``--ros-args`` and its end: (flag, value), or (flag,)."""
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
        elif inside and argument in FLAGS_WITH_VALUE:
            waiting = argument
        elif inside:
            options.append((argument,))
    return options


def stage_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments that also apply to the stages' nodes: remappings of topics.

    Remappings of the node's name or namespace are meant for the manager; they would give every node
    of the process the same name.
    """
    kept = ['--ros-args']
    for flag, *values in ros_options(arguments):
        value = ''.join(values)
        own = value.startswith(('__node:=', '__name:=', '__ns:='))
        if flag in ('-r', '--remap') and not own and not value.startswith('manager:'):
            kept += [flag, value]
    return tuple(kept) if len(kept) > 1 else ()


def worker_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments that also apply to workers: those of logging, and the enclave.

    All processes of a pipeline have the same rights in secured ROS.
    """
    kept = ['--ros-args']
    for option in ros_options(arguments):
        if option[0] in PROCESS_FLAGS:
            kept += option
    return tuple(kept) if len(kept) > 1 else ()
