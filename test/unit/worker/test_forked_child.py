# SPDX-License-Identifier: Apache-2.0
"""A process forked by a stage's code ends where the worker goes on."""

from __future__ import annotations

import os
import sys

import pytest
from support.child_processes import child

from worker_pipeline.worker.forked_child import exit_if_forked

# A worker whose stage forks; the pid of the fork and what it would have done are printed.
CODE = """
import os, sys
from worker_pipeline.worker.forked_child import exit_if_forked
from worker_pipeline.worker.stage_runner import Job
worker = os.getpid()
def hook():
    {hook}
job = Job(hook)
if sys.argv[1] == 'job':
    job.run()
else:
    try:
        hook()
    except BaseException as error:
        exit_if_forked(worker, error)
    exit_if_forked(worker)
assert os.getpid() == worker, 'a fork goes on'
status = os.waitstatus_to_exitcode(os.wait()[1])
print(status, type(job.error).__name__)
"""


@pytest.mark.slow  # the process that forks is large
@pytest.mark.parametrize('way', ['job', 'call'])
@pytest.mark.parametrize(
    ('hook', 'code'),
    [
        ('os.fork()', 0),
        ('os.fork() or sys.exit()', 0),
        ('os.fork() or sys.exit(3)', 3),
        ('os.fork() or sys.exit("no camera")', 1),
        ('os.fork() or 1 / 0', 1),
    ],
)
def test_a_fork_exits_and_the_worker_goes_on(way: str, hook: str, code: int):
    """With the exit code that it would have had."""
    with child(CODE.format(hook=hook), way) as process:
        assert process.rest() == [f'{code} NoneType']
        assert process.wait() == 0


def test_the_worker_itself_stays():
    exit_if_forked(os.getpid())
    exit_if_forked(os.getpid(), SystemExit(3))
    assert sys.exc_info() == (None, None, None)
