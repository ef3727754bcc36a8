# SPDX-License-Identifier: Apache-2.0
"""The workflows run only code of known content, and one job stands for all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).parents[2] / '.github' / 'workflows').glob('*.yml'))
PINNED = re.compile(r'[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+')


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request) -> Path:
    """Each workflow file."""
    return request.param


def test_each_action_is_pinned_by_commit_and_names_its_release(workflow):
    used = re.findall(r'^\s*(?:- )?uses: *(.*)$', workflow.read_text(), re.MULTILINE)
    assert [action for action in used if not PINNED.fullmatch(action)] == []


def test_a_workflow_may_only_read_the_repository(workflow):
    """Neither the workflow nor one of its jobs asks for more."""
    definition = yaml.safe_load(workflow.read_text())
    assert definition['permissions'] == {'contents': 'read'}
    assert [name for name, job in definition['jobs'].items() if 'permissions' in job] == []


def test_the_gate_needs_every_other_job(workflow):
    jobs = yaml.safe_load(workflow.read_text())['jobs']
    assert jobs.keys() - {'gate'} == set(jobs['gate']['needs'])
    assert jobs['gate']['if'] == '${{ always() }}'  # else it is skipped, which counts as success
