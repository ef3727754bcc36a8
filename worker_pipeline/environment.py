# SPDX-License-Identifier: Apache-2.0
"""Checks the environment variables of ROS before it reads them.

ROS itself reports most mistakes in them without naming the variable, or takes them for something
else in silence: a number that begins with 0 is octal, an empty discovery range is the whole
network. One of them ends the process while rclpy is imported, so this module does not import it.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import pwd
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from pathlib import Path

import attrs

from worker_pipeline.exit_codes import EXIT_BAD_CONFIGURATION, EXIT_FAILED
from worker_pipeline.parameter import one_line, short_repr, suggestion
from worker_pipeline.transient_errors import is_transient

DOMAIN = 'ROS_DOMAIN_ID'
LAST_DOMAIN = 232  # the ports of a higher one would be above 65535
RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
RANGES = ('LOCALHOST', 'SUBNET', 'OFF', 'SYSTEM_DEFAULT')
MIDDLEWARE = 'RMW_IMPLEMENTATION'
PROFILES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
# With this ROS argument no log files are written.
NO_LOG_FILES = '--disable-external-lib-logs'

Environment = MutableMapping[str, str]


@attrs.frozen
class Problem:
    """What is wrong with a variable, in one line."""

    text: str = attrs.field(converter=one_line)
    may_pass: bool = False  # as a full disk does; another start may find it gone


def environment_problems(environment: Environment, arguments: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with the variables, one line each, as ``find_problems`` does."""
    return [each.text for each in find_problems(environment, arguments)]


def find_problems(environment: Environment, arguments: Sequence[str] = ()) -> list[Problem]:
    """Return what is wrong with the variables.

    What has only one meaning is written as ROS understands it: a domain without blanks, no empty
    range, the home folder of the user if HOME is not set, as in a systemd service.

    Args:
        environment: the variables, which may be changed.
        arguments: the command's arguments.
    """
    _complete(environment)
    checks: list[Callable[[Environment], Iterator[Problem]]] = [
        _domain_problems,
        _range_problems,
        _middleware_problems,
        _profile_problems,
        _temporary_folder_problems,
    ]
    if NO_LOG_FILES not in arguments:
        checks.append(_log_folder_problems)
    return [problem for check in checks for problem in check(environment)]


def report_bad_environment(command: str, arguments: Sequence[str] = ()) -> int | None:
    """Print what is wrong with this process's variables; return the exit code, None if nothing is.

    Args:
        command: the command's name.
        arguments: its arguments.
    """
    problems = find_problems(os.environ, arguments)
    for problem in problems:
        print(f'{command}: {problem.text}; nothing was started', file=sys.stderr)
    if all(problem.may_pass for problem in problems):
        return EXIT_FAILED if problems else None
    return EXIT_BAD_CONFIGURATION


def _complete(environment: Environment) -> None:
    for name in (DOMAIN, RANGE, MIDDLEWARE):
        if name in environment:
            environment[name] = environment[name].strip()
            if not environment[name]:
                del environment[name]
    if not environment.get('HOME'):
        try:
            environment['HOME'] = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:  # a user without an entry, as in a container
            environment.pop('HOME', None)


def _domain_problems(environment: Environment) -> Iterator[Problem]:
    found = environment.get(DOMAIN, '0')
    if not re.fullmatch(r'0|[1-9][0-9]{0,2}', found, re.ASCII) or int(found) > LAST_DOMAIN:
        yield Problem(
            f'{DOMAIN}: found {short_repr(found)}; '
            f'allowed: a number from 0 to {LAST_DOMAIN}, without leading zeros'
        )


def _range_problems(environment: Environment) -> Iterator[Problem]:
    found = environment.get(RANGE, RANGES[0])
    if found not in RANGES:
        hint = suggestion(found.upper(), RANGES)
        yield Problem(
            f'{RANGE}: found {short_repr(found)}; allowed: {", ".join(RANGES)}'
            + (f'; {hint}' if hint else '')
        )


def _middleware_problems(environment: Environment) -> Iterator[Problem]:
    found = environment.get(MIDDLEWARE)
    if found is not None and not _is_installed(found, environment):
        yield Problem(
            f'{MIDDLEWARE}: found {short_repr(found)}, which is not installed here; '
            'allowed: one that is, such as rmw_fastrtps_cpp, or none'
        )


def _is_installed(package: str, environment: Environment) -> bool:
    """Return whether a ROS package is in a sourced workspace, or installed as a wheel."""
    if not re.fullmatch(r'\w+', package):
        return False
    prefixes = filter(None, environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep))
    index = Path('share', 'ament_index', 'resource_index', 'packages', package)
    if any((Path(prefix) / index).exists() for prefix in prefixes):
        return True
    return importlib.util.find_spec(package) is not None


def _profile_problems(environment: Environment) -> Iterator[Problem]:
    if not environment.get(MIDDLEWARE, 'rmw_fastrtps').startswith('rmw_fastrtps'):
        return
    from xml.etree import ElementTree

    for name in PROFILES:
        path = environment.get(name)
        if not path:
            continue
        try:
            ElementTree.parse(path)
        except OSError as error:
            yield _folder_problem(name, path, error, 'a file of Fast DDS profiles')
        except ElementTree.ParseError as error:
            yield Problem(f'{name}: found {short_repr(path)}, which is no XML: {error}')


def _temporary_folder_problems(_: Environment) -> Iterator[Problem]:
    try:
        tempfile.gettempdir()
    except OSError as error:
        # Python has tried to write to each: all disks may be full.
        yield Problem(f'TMPDIR: {error.strerror}; allowed: a folder that can be written', True)


def _log_folder_problems(environment: Environment) -> Iterator[Problem]:
    # As ROS chooses it.
    choices = (('ROS_LOG_DIR', ''), ('ROS_HOME', 'log'), ('HOME', '.ros/log'))
    for name, below in choices:
        folder = environment.get(name)
        if not folder:
            continue
        if folder.startswith('~') and environment.get('HOME'):
            folder = environment['HOME'] + folder[1:]
        try:
            (Path(folder) / below).mkdir(parents=True, exist_ok=True)
            if not os.access(Path(folder) / below, os.W_OK | os.X_OK):
                raise _why_not_writable(Path(folder) / below)
        except OSError as error:
            wanted = f'a folder that can be written, or the ROS argument {NO_LOG_FILES}'
            yield _folder_problem(name, folder, error, wanted)
        return
    allowed = 'a folder that can be written; or set ROS_HOME or ROS_LOG_DIR'
    yield Problem(f'HOME: not set; allowed: {allowed}')


def _why_not_writable(folder: Path) -> OSError:
    is_read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    number = errno.EROFS if is_read_only else errno.EACCES
    return OSError(number, os.strerror(number))


def _folder_problem(name: str, path: str, error: OSError, allowed: str) -> Problem:
    text = f'{name}: found {short_repr(path)}: {error.strerror}; allowed: {allowed}'
    return Problem(text, may_pass=is_transient(error))
