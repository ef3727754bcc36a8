# SPDX-License-Identifier: Apache-2.0
"""A worker that has to end what it has started itself; trees are in ``test_process_trees.py``."""

from __future__ import annotations

import os

import pytest
from support.child_processes import child

from worker_pipeline.system import own_tree
from worker_pipeline.system.own_tree import is_abandoned, note_server

# Has one child that ignores nothing, and ends it.
PARENT = """
import os, subprocess, sys
from worker_pipeline.system.own_tree import end_own_tree
program = subprocess.Popen(['sleep', '1000'])
os.dup2(1, 2)
print(program.pid, flush=True)
end_own_tree('stage/worker_0')
print(program.wait(), flush=True)
end_own_tree('stage/worker_0')
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(own_tree, '_forked', None)


def test_a_process_that_no_server_has_forked_is_not_abandoned():
    """As one that runs a stage alone: what it leaves is the user's."""
    assert not is_abandoned()


def test_a_worker_is_abandoned_when_its_parent_is_another():
    note_server(os.getppid())
    assert not is_abandoned()
    note_server(os.getppid() + 1)
    assert is_abandoned()


def test_a_fork_of_a_worker_is_not_abandoned():
    """Its parent is the worker, which lives."""
    note_server(os.getppid())
    pid = os.fork()
    if not pid:
        os._exit(is_abandoned())
    assert os.waitpid(pid, 0)[1] == 0


def test_what_was_ended_is_printed():
    """Nothing where there was nothing."""
    with child(PARENT) as parent:
        program = parent.line()
        assert parent.rest() == [
            f'stage/worker_0 left 1 process behind: sleep (pid {program}); terminated',
            '-15',
        ]
