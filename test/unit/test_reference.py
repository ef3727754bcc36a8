# SPDX-License-Identifier: Apache-2.0
"""docs/reference.md agrees with the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.documents import REFERENCE, column, compare, section, tables

from worker_pipeline.config import PIPELINE_KEYS
from worker_pipeline.core import rollout
from worker_pipeline.manager import (
    diagnostics,
    pauses,
    rolling_update,
    stage_inputs,
    stage_links,
    stage_statistics,
    stage_workers,
)
from worker_pipeline.protocol import answers
from worker_pipeline.ros import qos
from worker_pipeline.worker import standalone

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / 'worker_pipeline'
CONCURRENCY = 3


def constants(path: Path) -> set[str]:
    """Return the strings in a module's code."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {
        each.value
        for each in nodes
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


@pytest.mark.slow
def test_the_generated_tables_are_up_to_date():
    """The failure shows the differences and the command that updates them."""
    command = [sys.executable, str(REPOSITORY / 'docs' / 'make_reference.py'), '--check']
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, f'{done.stdout}{done.stderr}'


def read_from_the_environment(path: Path) -> set[str]:
    """Return the environment variables in a module's code, by use or by the look of their name."""
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


@pytest.mark.slow
def test_every_environment_variable_is_documented():
    found = set().union(*(read_from_the_environment(path) for path in PACKAGE.rglob('*.py')))
    documented = set(column(REFERENCE, 'Environment', 'variable'))
    compare(found, documented, 'Environment', 'the variables in the package')


def test_every_parameter_of_a_worker_alone_is_documented():
    read = {
        each.args[0].value
        for each in ast.walk(ast.parse(Path(standalone.__file__).read_text()))
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr in ('_parameter', '_table')
        and isinstance(each.args[0], ast.Constant)
    }
    documented = set(column(REFERENCE, 'Of a worker alone', 'parameter'))
    compare(read, documented, 'Of a worker alone', 'the parameters that it reads')


def test_the_quality_of_service_of_every_topic_is_documented():
    """Durability and depth; the latter is not visible in the graph."""
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
    documented = {
        row['topic']: (row['durability'], depth_of(row))
        for row in published
        if not row['topic'].startswith('`<node>')
    }
    assert documented == {
        topic: (each.durability.name.lower().replace('_', ' '), each.depth)
        for topic, each in profiles.items()
    }
    section = ' '.join(REFERENCE.read_text().split())
    assert f'Of images up to {qos.LARGE_INPUT_DEPTH} that are not read yet are kept' in section


# The modules with the messages of diagnostics.
MESSAGES_FROM = (
    diagnostics,
    pauses,
    stage_inputs,
    stage_links,
    stage_statistics,
    rolling_update,
    rollout,
    stage_workers,
)


def depth_of(row: dict[str, str]) -> int:
    return 2 * CONCURRENCY + 2 if row['depth'] == '2 `concurrency` + 2' else int(row['depth'])


def test_the_documented_messages_of_diagnostics_are_in_the_code():
    """Quoted messages only; a capital letter stands for a number."""
    (levels, *_) = tables(REFERENCE, 'Diagnostics')
    quoted = [each for row in levels for each in re.findall(r'`([^`]+)`', row['message'])]
    documented = {part.strip() for each in quoted for part in re.split(r'\b[A-Z]\b', each)} - {''}
    # The other quoted words are keys.
    documented -= {*PIPELINE_KEYS, *column(REFERENCE, 'Of a worker', 'key')}
    assert len(documented) > 5
    said = {each.strip() for module in MESSAGES_FROM for each in constants(Path(module.__file__))}
    assert documented <= said
    assert {row['level'] for row in levels} >= {'OK', 'WARN', 'ERROR', 'STALE'}
    assert f'in the last {diagnostics.RECENT_WINDOW:g} s' in section(REFERENCE, 'Diagnostics')


def test_every_message_of_diagnostics_is_documented():
    """Strings of several words in the module that makes the statuses."""
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
    undocumented = sorted(each for each in words if each not in documented)
    assert not undocumented, (
        f"docs/reference.md, 'Diagnostics': write a row for the messages {undocumented}"
    )


def test_every_kind_of_outcome_is_documented():
    kinds = {
        each for name, each in vars(answers).items() if name.isupper() and isinstance(each, str)
    }
    documented = set(column(REFERENCE, 'Outcomes', 'message'))
    compare(kinds - {answers.OUTPUT}, documented, 'Outcomes', 'the kinds of answers')
