"""Writes the tables of docs/reference.md that the code itself tells, between their markers.

    .venv/bin/python docs/make_reference.py            mends the document
    .venv/bin/python docs/make_reference.py --check    tells how it differs; exit code 1 if it does

One function below for each table; its name is the marker's.
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
from worker_pipeline.parameter import Parameter, declared  # noqa: E402

MARKED = re.compile(r'(<!-- made by make_reference: (\w+) -->\n).*?(<!-- end -->)', re.DOTALL)


# -- parameters ----------------------------------------------------------------------------------

HEADINGS = ('key', 'type', 'unit', 'allowed', 'default', 'live', 'what')
# A stage's tables have keys of the user's own.
STAGE_TABLES = {
    'context': (
        '`context.<name>`',
        'string',
        '',
        'a stage or an absolute topic',
        'must be given, for each of the class',
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
# What no single value tells.
TYPES = {'input': 'string, or list of strings'}
ALLOWED = {
    'plugin': 'module:Class',
    'input': 'stages, absolute topics',
}
DEFAULTS = {'plugin': 'must be given', 'input': 'none'}


def pipeline_parameters() -> str:
    """Those of the manager."""
    names = f'1 to {config.MOST_STAGES} names'
    first = '`stages`', 'list of strings', '', names, 'must be given', 'no'
    rows = [(*first, 'the names of the stages; their order is only for people')]
    rows += [_parameter(key, spec, live='no') for key, spec in config.PIPELINE_KEYS.items()]
    return _table(HEADINGS, rows)


def stage_parameters() -> str:
    """Those of each stage."""
    rows = [
        _parameter(key, spec, live='yes' if key in config.LIVE_STAGE_KEYS else 'no')
        for key, spec in config.STAGE_KEYS.items()
    ]
    return _table(HEADINGS, [*rows, *(STAGE_TABLES[each] for each in config.STAGE_TABLES)])


def own_parameters() -> str:
    """Those of the reference stages, each a table."""
    text = (REPOSITORY / 'config' / 'airside.yaml').read_text()
    parameters = yaml.safe_load(text)['/**/manager']['ros__parameters']
    tables = []
    for stage in parameters['stages']:
        module, _, name = parameters[stage]['plugin'].partition(':')
        stage_class = getattr(importlib.import_module(module), name)
        rows = [
            _parameter(key, spec, live='yes')
            for key, spec in declared(stage_class.parameters).items()
        ]
        title = f'`{stage}` ({module}:{name})'
        tables.append(f'{title}\n\n{_table(HEADINGS, rows)}' if rows else f'{title}: none\n')
    return '\n'.join(tables)


def limits() -> str:
    """What a configuration may have at most."""
    rows = [
        ('stages', config.MOST_STAGES),
        ('workers of a stage, on duty or standing by', config.MOST_WORKERS),
        ('inputs of a stage', config.MOST_INPUTS),
        ("characters of a stage's name", config.LONGEST_NAME),
        ('characters of a topic, with its namespace', config.LONGEST_TOPIC),
        ('a time, s', f'{config.LONGEST:.0f}'),
    ]
    return _table(('what', 'at most'), rows)


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
    """A value as a parameter file has it."""
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
    """What launch's DeclareLaunchArgument is told."""

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
    """Stands in for the packages of launch, which are not everywhere; notes the arguments."""

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
    """The arguments of pipeline.launch.py."""
    return _launch_arguments('pipeline.launch.py')


def airside_launch() -> str:
    """The arguments of airside.launch.py."""
    return _launch_arguments('airside.launch.py')


def _launch_arguments(name: str) -> str:
    with _without_launch():
        made = runpy.run_path(str(REPOSITORY / 'launch' / name))['generate_launch_description']()
    rows = [each.row for each in made if isinstance(each, _Argument)]
    return _table(('argument', 'allowed', 'default', 'what'), rows)


# -- commands ------------------------------------------------------------------------------------

# By command: the function whose docstring tells its exit codes.
EXITS = {
    'manager': 'worker_pipeline.nodes.manager_process:run_manager',
    'worker': 'worker_pipeline.nodes.standalone:run_standalone',
    'monitor': 'worker_pipeline.monitor.application:run_monitor',
    'mission': 'worker_pipeline.mission.__main__:main',
    'quarantine': 'worker_pipeline.runtime.quarantine_command:main',
}
A_WORKER = 'worker_pipeline.nodes.worker:run_worker'


def usage() -> str:
    """What each command says of itself."""
    texts = [cli.USAGE, *(_help_of(each) for each in ('monitor', 'mission', 'quarantine'))]
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
    """Of the commands, and of the processes of workers."""
    rows = [(f'`{name}`', *each) for name in cli.COMMANDS for each in _codes(EXITS[name])]
    rows += [('a worker of a pipeline', *each) for each in _codes(A_WORKER)]
    return _table(('of', 'code', 'when'), rows)


def _codes(where: str) -> list[tuple[str, str]]:
    """The codes that a docstring tells, as in ``Exit code 0: done; 1: not done``."""
    module = importlib.import_module(where.partition(':')[0])
    text = ' '.join(getattr(module, where.partition(':')[2]).__doc__.split())
    told = re.search(r'Exit code (\d+: [^.]+)\.', text)
    assert told, f'{where}: no exit codes in its docstring'
    codes = dict(each.split(': ', 1) for each in told[1].split('; '))
    for name, code in vars(module).items():
        assert not name.startswith('EXIT_') or str(code) in codes, (
            f'{where}: its docstring does not tell exit code {code}, {name}'
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


def mended(document: str) -> str:
    """The document with every table as the code tells it."""
    named = [match[2] for match in MARKED.finditer(document)]
    assert sorted(named) == sorted(TABLES), f'found markers {named}; allowed: each of {[*TABLES]}'
    return MARKED.sub(lambda match: f'{match[1]}{TABLES[match[2]]()}{match[3]}', document)


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='change nothing; tell what differs')
    check = parser.parse_args().check
    found = DOCUMENT.read_text()
    wanted = mended(found)
    if found == wanted:
        return 0
    if not check:
        DOCUMENT.write_text(wanted)
        return 0
    lines = difflib.unified_diff(
        found.splitlines(), wanted.splitlines(), 'docs/reference.md', 'the code', lineterm='', n=0
    )
    print(*lines, sep='\n')
    print(f'docs/reference.md is not what the code says. To mend it: {COMMAND}')
    return 1


if __name__ == '__main__':
    sys.exit(main())
