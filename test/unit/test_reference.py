"""The reference says what the code says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from support.documents import REFERENCE, column, compare, section, tables

from worker_pipeline.config import PIPELINE_KEYS
from worker_pipeline.nodes import diagnostics, qos, standalone
from worker_pipeline.runtime import answers

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / 'worker_pipeline'
CONCURRENCY = 3


def constants(path: Path) -> set[str]:
    """The strings that a module's code has."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {
        each.value
        for each in nodes
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def test_the_tables_that_are_made_are_up_to_date():
    """What differs is told, and the command that mends it."""
    command = [sys.executable, str(REPOSITORY / 'docs' / 'make_reference.py'), '--check']
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, f'{done.stdout}{done.stderr}'


def read_from_the_environment(path: Path) -> set[str]:
    """The names that a module's code looks up: those written there, and those that look so."""
    looks_so = re.compile(r'(ROS|RMW|FASTDDS|FASTRTPS|WORKER_PIPELINE)_[A-Z_]+')
    found = {each for each in constants(path) if looks_so.fullmatch(each)}
    for each in ast.walk(ast.parse(path.read_text())):
        name: ast.expr | None = None
        if isinstance(each, ast.Subscript):
            where, name = each.value, each.slice
        elif isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.args:
            where, name = each.func.value, each.args[0]
        if isinstance(name, ast.Constant) and ast.unparse(where).endswith(
            ('environ', 'environment')
        ):
            found.add(name.value)
    return found


def test_every_environment_variable_is_told():
    found = set().union(*(read_from_the_environment(path) for path in PACKAGE.rglob('*.py')))
    documented = set(column(REFERENCE, 'Environment', 'variable'))
    compare(found, documented, 'Environment', 'the variables that the package names')


def test_every_parameter_of_a_worker_alone_is_told():
    read = {
        each.args[0].value
        for each in ast.walk(ast.parse(Path(standalone.__file__).read_text()))
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr in ('_given', '_table')
        and isinstance(each.args[0], ast.Constant)
    }
    documented = set(column(REFERENCE, 'Of a worker alone', 'parameter'))
    compare(read, documented, 'Of a worker alone', 'the parameters that it reads')


def test_the_quality_of_service_of_every_topic_is_told():
    """Durability and depth; the graph does not tell the latter."""
    work = qos.work(CONCURRENCY)
    profiles = {
        '`/diagnostics`': qos.DIAGNOSTICS,
        '`heartbeats`': qos.HEARTBEATS,
        '`quarantine`': qos.QUARANTINE,
        '`<stage>/output`': qos.reliable(qos.OUTPUT_DEPTH),
        '`<stage>/output` of images': qos.reliable(qos.LARGE_OUTPUT_DEPTH),
        '`<stage>/output` as a context': qos.latched(qos.CONTEXT_DEPTH),
        '`<stage>/worker_<i>/work`': work,
        '`<stage>/worker_<i>/result`': work,
        '`<stage>/worker_<i>/outcome`': work,
    }
    (published, _) = tables(REFERENCE, 'Topics')
    told = {
        row['topic']: (row['durability'], depth_of(row))
        for row in published
        if not row['topic'].startswith('`<node>')
    }
    assert told == {
        topic: (each.durability.name.lower().replace('_', ' '), each.depth)
        for topic, each in profiles.items()
    }
    section = ' '.join(REFERENCE.read_text().split())
    assert f'Of images up to {qos.LARGE_INPUT_DEPTH} that are not read yet are kept' in section


def depth_of(row: dict[str, str]) -> int:
    return 2 * CONCURRENCY + 2 if row['depth'] == '2 `concurrency` + 2' else int(row['depth'])


def test_the_messages_of_diagnostics_are_those_of_the_code():
    """Those that are told word for word; a number is told as a capital letter."""
    (levels, *_) = tables(REFERENCE, 'Diagnostics')
    quoted = [each for row in levels for each in re.findall(r'`([^`]+)`', row['message'])]
    told = {part.strip() for each in quoted for part in re.split(r'\b[A-Z]\b', each)} - {''}
    # What is no message is a key.
    told -= {*PIPELINE_KEYS, *column(REFERENCE, 'Of a worker', 'key')}
    assert len(told) > 5
    assert told <= {each.strip() for each in constants(Path(diagnostics.__file__))}
    assert {row['level'] for row in levels} >= {'OK', 'WARN', 'ERROR', 'STALE'}
    assert f'in the last {diagnostics.REMEMBERED:g} s' in section(REFERENCE, 'Diagnostics')


def test_every_message_of_diagnostics_is_told():
    """What has words in it, that is, in the class that makes the statuses."""
    tree = ast.parse(Path(diagnostics.__file__).read_text())
    documented = section(REFERENCE, 'Diagnostics')
    docstrings = {
        ast.get_docstring(each, clean=False)
        for each in ast.walk(tree)
        if isinstance(each, (ast.Module, ast.ClassDef, ast.FunctionDef))
    }
    words = {
        constant.value.strip()
        for top in tree.body
        if not isinstance(top, ast.FunctionDef)
        for constant in ast.walk(top)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
        if constant.value not in docstrings and re.search('[a-z] [a-z]', constant.value)
    }
    assert len(words) > 5
    untold = sorted(each for each in words if each not in documented)
    assert not untold, f"docs/reference.md, 'Diagnostics': write a row for the messages {untold}"


def test_every_kind_of_outcome_is_told():
    kinds = {
        each for name, each in vars(answers).items() if name.isupper() and isinstance(each, str)
    }
    documented = set(column(REFERENCE, 'Outcomes', 'message'))
    compare(kinds - {answers.OUTPUT}, documented, 'Outcomes', 'the kinds of answers')
