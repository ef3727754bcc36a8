# SPDX-License-Identifier: Apache-2.0
"""Write the tables of docs/reference.md that are derived from the code, between their markers.

    .venv/bin/python docs/make_reference.py            update the document
    .venv/bin/python docs/make_reference.py --check    print the differences; exit code 1 if any

There is one function per table, with the name of its marker.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import importlib.abc
import importlib.machinery
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENT = REPOSITORY / 'docs' / 'reference.md'
COMMAND = '.venv/bin/python docs/make_reference.py'
sys.path.insert(0, str(REPOSITORY))

from worker_pipeline import cli, config  # noqa: E402
from worker_pipeline.parameter import Parameter, as_parameters  # noqa: E402

MARKED = re.compile(r'(<!-- made by make_reference: (\w+) -->\n).*?(<!-- end -->)', re.DOTALL)


# -- parameters ----------------------------------------------------------------------------------

HEADINGS = ('key', 'type', 'unit', 'allowed', 'default', 'live', 'meaning')
# Tables of a stage, with keys chosen by the user.
STAGE_TABLES = {
    'context': (
        '`context.<name>`',
        'string',
        '',
        'a stage or an absolute topic',
        'must be given, for each of the class that is not optional',
        'no',
        'where a context of the class comes from',
    ),
    'params': (
        '`params.<name>`',
        "the class's",
        '',
        "the class's",
        "the class's",
        'yes',
        "the stage's own parameters",
    ),
}
# What the default value cannot show.
TYPES = {'input': 'string, or list of strings'}
ALLOWED = {
    'plugin': 'module:Class',
    'input': 'stages, absolute topics',
}
DEFAULTS = {'plugin': 'must be given', 'input': 'none'}


def pipeline_parameters() -> str:
    """Return the table of the manager's parameters."""
    names = f'1 to {config.MAX_STAGES} names'
    first = '`stages`', 'list of strings', '', names, 'must be given', 'no'
    rows = [(*first, 'the names of the stages; their order is only for people')]
    rows += [_parameter(key, spec, live='no') for key, spec in config.PIPELINE_KEYS.items()]
    return _table(HEADINGS, rows)


def stage_parameters() -> str:
    """Return the table of each stage's parameters."""
    rows = [
        _parameter(key, spec, live='yes' if key in config.LIVE_STAGE_KEYS else 'no')
        for key, spec in config.STAGE_KEYS.items()
    ]
    return _table(HEADINGS, [*rows, *(STAGE_TABLES[each] for each in config.STAGE_TABLES)])


def own_parameters() -> str:
    """Return a table for each reference stage."""
    text = (REPOSITORY / 'config' / 'airside.yaml').read_text()
    parameters = yaml.safe_load(text)['/**/manager']['ros__parameters']
    tables = []
    for stage in parameters['stages']:
        module, _, name = parameters[stage]['plugin'].partition(':')
        stage_class = getattr(importlib.import_module(module), name)
        rows = [
            _parameter(key, spec, live='yes')
            for key, spec in as_parameters(stage_class.parameters).items()
        ]
        title = f'`{stage}` ({module}:{name})'
        tables.append(f'{title}\n\n{_table(HEADINGS, rows)}' if rows else f'{title}: none\n')
    return '\n'.join(tables)


def limits() -> str:
    """Return the table of the limits of a configuration."""
    rows = [
        ('stages', config.MAX_STAGES),
        ('workers of a stage, on duty or standing by', config.MAX_WORKERS),
        ('inputs of a stage', config.MAX_INPUTS),
        ("characters of a stage's name", config.MAX_NAME_LENGTH),
        ('characters of a topic, with its namespace', config.MAX_TOPIC_LENGTH),
        ('a time, s', f'{config.MAX_SECONDS:.0f}'),
    ]
    return _table(('quantity', 'at most'), rows)


def _parameter(key: str, spec: Parameter, *, live: str) -> tuple[str, ...]:
    default = DEFAULTS.get(key) or f'`{_plain(spec.default)}`'
    allowed = ALLOWED.get(key) or _range(spec)
    kind = TYPES.get(key) or _type(spec.default)
    return f'`{key}`', kind, spec.unit, allowed, default, live, spec.description


def _type(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f'list of {_type(value[0])}s' if len(value) else 'list'
    return {bool: 'bool', int: 'int', float: 'float', str: 'string'}[type(value)]


def _plain(value: Any) -> str:
    """Return a value as written in a parameter file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f'[{", ".join(_plain(each) for each in value)}]'
    return repr(value) if value == '' or not isinstance(value, str) else value


def _range(spec: Parameter) -> str:
    if spec.choices:
        return ', '.join(f'`{each}`' for each in spec.choices)
    low = '' if spec.minimum is None else f'{spec.minimum:.9g}'
    high = '' if spec.maximum is None else f'{spec.maximum:.9g}'
    if low and high:
        return f'{low} to {high}'
    return f'from {low}' if low else f'up to {high}' if high else ''


# -- launch files --------------------------------------------------------------------------------


class _Argument:
    """A stand-in for launch's DeclareLaunchArgument that keeps its arguments."""

    def __init__(
        self,
        name: str,
        *,
        default_value: str | None = None,
        description: str = '',
        choices: Iterable[str] = (),
    ) -> None:
        self.row = f'`{name}`', _choices(choices), _default(default_value), description


def _choices(choices: Iterable[str]) -> str:
    return ', '.join(f'`{each}`' if each else 'nothing' for each in choices)


def _default(value: str | None) -> str:
    if value is None:
        return 'must be given'
    return f'`{value.replace(f"{REPOSITORY}/", "")}`' if value else 'nothing'


class _StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """An importer of stand-ins for the packages of launch, which may not be installed."""

    packages = ('launch', 'launch_ros', 'ament_index_python')
    known: dict[str, Any] = {  # noqa: RUF012 - one object
        'DeclareLaunchArgument': _Argument,
        'LaunchDescription': list,
        'get_package_share_directory': lambda _: str(REPOSITORY),
    }

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name.partition('.')[0] not in self.packages:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, _: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = lambda name: self.known.get(name) or mock.MagicMock()


@contextlib.contextmanager
def _without_launch() -> Iterator[None]:
    finder = _StandIn()
    with mock.patch.dict(sys.modules):
        for name in [each for each in sys.modules if each.startswith(_StandIn.packages)]:
            del sys.modules[name]
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)


def pipeline_launch() -> str:
    """Return the table of the arguments of pipeline.launch.py."""
    return _launch_arguments('pipeline.launch.py')


def airside_launch() -> str:
    """Return the table of the arguments of airside.launch.py."""
    return _launch_arguments('airside.launch.py')


def _launch_arguments(name: str) -> str:
    with _without_launch():
        made = runpy.run_path(str(REPOSITORY / 'launch' / name))['generate_launch_description']()
    rows = [each.row for each in made if isinstance(each, _Argument)]
    return _table(('argument', 'allowed', 'default', 'meaning'), rows)


# -- commands ------------------------------------------------------------------------------------

# By command: the function whose docstring lists its exit codes.
EXITS = {
    'manager': 'worker_pipeline.manager.process:run_manager',
    'worker': 'worker_pipeline.worker.standalone:run_standalone',
    'monitor': 'worker_pipeline.monitor.application:run_monitor',
    'mission': 'worker_pipeline.airside.mission.__main__:main',
    'create': 'worker_pipeline.create.command:main',
    'quarantine': 'worker_pipeline.quarantine.command:main',
}
A_WORKER = 'worker_pipeline.worker.process:run_worker'


def usage() -> str:
    """Return the help text of each command."""
    texts = [cli.USAGE, *(_help_of(each) for each in cli.COMMANDS)]
    return '\n'.join(f'```text\n{each}```\n' for each in texts)


def _help_of(command: str) -> str:
    done = subprocess.run(
        [sys.executable, '-m', 'worker_pipeline', command, '--help'],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env=os.environ | {'COLUMNS': '100', 'NO_COLOR': '1'},
    )
    return done.stdout


def exit_codes() -> str:
    """Return the table of exit codes of the commands and of workers."""
    rows = [(f'`{name}`', *each) for name in cli.COMMANDS for each in _codes(EXITS[name])]
    rows += [('a worker of a pipeline', *each) for each in _codes(A_WORKER)]
    return _table(('of', 'code', 'when'), rows)


def _codes(where: str) -> list[tuple[str, str]]:
    """Return the codes that a docstring lists, as in ``Exit code 0: done; 1: not done``."""
    module = importlib.import_module(where.partition(':')[0])
    text = ' '.join(getattr(module, where.partition(':')[2]).__doc__.split())
    listed = re.search(r'Exit code (\d+: [^.]+)\.', text)
    assert listed, f'{where}: no exit codes in its docstring'
    codes = dict(each.split(': ', 1) for each in listed[1].split('; '))
    for name, code in vars(module).items():
        assert not name.startswith('EXIT_') or str(code) in codes, (
            f'{where}: its docstring does not list exit code {code}, {name}'
        )
    return [(f'`{code}`', when) for code, when in codes.items()]


# -- the document --------------------------------------------------------------------------------


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [headings, ['---'] * len(headings), *rows]
    return ''.join(f'| {" | ".join(_cell(each) for each in line)} |\n' for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace('|', '\\|').replace('\n', ' ')


TABLES: dict[str, Callable[[], str]] = {
    each.__name__: each
    for each in (
        *(pipeline_parameters, stage_parameters, own_parameters, limits),
        *(pipeline_launch, airside_launch, usage, exit_codes),
    )
}


def updated(document: str) -> str:
    """Return the document with every table updated."""
    named = [match[2] for match in MARKED.finditer(document)]
    assert sorted(named) == sorted(TABLES), f'found markers {named}; allowed: each of {[*TABLES]}'
    return MARKED.sub(lambda match: f'{match[1]}{TABLES[match[2]]()}{match[3]}', document)


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='print differences only')
    check = parser.parse_args().check
    found = DOCUMENT.read_text()
    wanted = updated(found)
    if found == wanted:
        return 0
    if not check:
        DOCUMENT.write_text(wanted)
        return 0
    lines = difflib.unified_diff(
        found.splitlines(), wanted.splitlines(), 'docs/reference.md', 'the code', lineterm='', n=0
    )
    print(*lines, sep='\n')
    print(f'docs/reference.md differs from the code. To update it: {COMMAND}')
    return 1


if __name__ == '__main__':
    sys.exit(main())
