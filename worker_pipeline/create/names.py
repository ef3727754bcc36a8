# SPDX-License-Identifier: Apache-2.0
"""The names of a new stage package: their rules, and the names derived from them."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Sequence

import attrs

from worker_pipeline.config.schema import MAX_NAME_LENGTH, RESERVED_NAMES
from worker_pipeline.parameter import short_repr

# REP 144, and a name that Python can import: no hyphens.
PACKAGE_NAME = re.compile(r'[a-z](_?[a-z0-9])+')
CLASS_NAME = re.compile(r'[A-Z][A-Za-z0-9]*')
# The folders of a package beside that of its modules, which has the package's name.
FOLDERS = frozenset({'config', 'launch', 'resource', 'test'})
# The imports of a stage's module.
IMPORTED = frozenset({'Header', 'Parameter', 'Stage'})
# test_pipeline.py tests the whole pipeline.
RESERVED_STAGES = RESERVED_NAMES | {'pipeline'}


@attrs.frozen
class StageName:
    """A stage's class, such as ``DetectTarget``, and the names derived from it."""

    class_name: str

    @property
    def name(self) -> str:
        """Return the stage's name in the pipeline, and its module's: ``detect_target``."""
        words = re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', self.class_name)
        return words.lower()


def package_problem(name: str) -> str:
    """Return why a package's name is not allowed; '' if it is."""
    found = f'NAME: found {short_repr(name)}; allowed'
    if not PACKAGE_NAME.fullmatch(name):
        return (
            f'{found}: two or more small letters, digits and single underscores, the first a '
            'letter and the last not an underscore'
        )
    if keyword.iskeyword(name):
        return f'{found}: another name; it is a keyword of Python'
    if name in FOLDERS:
        return f'{found}: another name; it is that of a folder of every package'
    if name in sys.stdlib_module_names or _is_module(name):
        return f'{found}: another name; it is that of an existing Python module'
    return ''


def _is_module(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    # A plain folder that happens to be in the current directory has no origin.
    return spec is not None and spec.origin is not None


def stage_problems(class_names: Sequence[str]) -> list[str]:
    """Return one line for each name that is not allowed, with the rule."""
    problems = []
    names: set[str] = set()
    for class_name in class_names:
        name = StageName(class_name).name
        if problem := _stage_problem(class_name, name, names):
            problems.append(f'--stage: found {short_repr(class_name)}; allowed: {problem}')
        names.add(name)
    return problems


def _stage_problem(class_name: str, name: str, others: set[str]) -> str:
    if not CLASS_NAME.fullmatch(class_name) or len(name) > MAX_NAME_LENGTH:
        return (
            f'a class, such as DetectTarget: up to {MAX_NAME_LENGTH} letters and digits, the first '
            'a capital letter'
        )
    if keyword.iskeyword(class_name) or keyword.iskeyword(name):
        return f'another name; {name} is a keyword of Python'
    if class_name in IMPORTED:
        return "another name; it is imported by a stage's module"
    if name in RESERVED_STAGES:
        return f'another name; {name} is reserved'
    if name in others:
        return f'another name; there is a stage {name} already'
    return ''
