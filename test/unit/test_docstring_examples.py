# SPDX-License-Identifier: Apache-2.0
"""The examples in the docstrings that users read."""

from __future__ import annotations

import doctest
import importlib
import textwrap

import pytest

from worker_pipeline import testing


@pytest.mark.parametrize('name', ['stage', 'context', 'pool', 'topic', 'status', 'parameter'])
def test_the_examples_of_the_public_api_run_and_print_what_they_say(name: str):
    """Every module of the API has one."""
    module = importlib.import_module(f'worker_pipeline.{name}')
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_the_example_of_the_testing_package_compiles():
    """It needs a running pipeline, so it is only compiled here."""
    assert testing.__doc__ is not None
    _, _, block = testing.__doc__.partition('::\n')
    example, _, _ = block.partition('\n\nIf no')
    assert 'PipelineProbe' in example
    compile(textwrap.dedent(example), 'testing.__doc__', 'exec')
