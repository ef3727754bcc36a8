# SPDX-License-Identifier: Apache-2.0
"""Whatever a stage's code does, its neighbours are unharmed and the manager stays in charge."""

from __future__ import annotations

import pytest
from hostile.run import run, run_refused
from hostile.table import PIPELINES, REFUSALS


@pytest.mark.timeout(240)
@pytest.mark.parametrize('group', PIPELINES, ids=lambda group: group.name)
def test_every_promise_of_the_table_is_kept(group, domain, tmp_path):
    """See ``test/hostile/table.py``: what each stage does, and what becomes of it."""
    report = run(group, domain, tmp_path)
    assert bool(report.problems) == bool(group.blocked), report.problems


def test_classes_that_cannot_work_are_refused_by_name(domain, tmp_path):
    """All at once, before anything starts."""
    report = run_refused(REFUSALS, domain, tmp_path)
    assert report.problems == {}
