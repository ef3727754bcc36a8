# SPDX-License-Identifier: Apache-2.0
"""The parts of ``worker_pipeline.testing`` that need no pipeline."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from worker_pipeline import testing
from worker_pipeline.testing import WaitTimeoutError, isolated_domain, wait_for

HOLDER = """
from worker_pipeline.testing import isolated_domain

with isolated_domain() as domain:
    print(domain, flush=True)
    input()
"""

# Loaded before it is another user, who may not be allowed to read the package.
AS_NOBODY = """
import os, sys
from worker_pipeline.system.domain_lock import lock_domain
from worker_pipeline.testing import isolated_domain

os.setgid(65534)
os.setuid(65534)
domain = int(sys.argv[1])
print(lock_domain(domain))
try:
    with isolated_domain([domain]):
        print('reserved twice')
except RuntimeError:
    print('RuntimeError')
with isolated_domain():
    print('free')
"""


def test_a_wait_returns_the_value_as_soon_as_it_is_true():
    """Falsy values are waited through."""
    values = iter(['', '', 'there'])
    assert wait_for(lambda: next(values), 'a word') == 'there'


def test_a_wait_that_times_out_names_the_fact_and_what_was_found_instead():
    """It is bounded."""
    with pytest.raises(WaitTimeoutError) as raised:
        wait_for(lambda: False, 'the answers', 0.01, lambda: [1, 2])
    assert str(raised.value) == 'waited 0.01 s in vain for the answers; found instead: [1, 2]'


@pytest.mark.slow
def test_domains_are_unique_on_the_machine():
    """Within a process and across processes."""
    with isolated_domain() as first, isolated_domain() as second:
        command = [sys.executable, '-c', HOLDER]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            third = int(holder.stdout.readline())
            assert len({first, second, third}) == 3
            holder.communicate('\n', timeout=20)


def test_a_domain_stays_reserved_while_a_process_started_in_it_lives():
    """A test that is killed may leave processes behind."""
    with isolated_domain() as domain:
        left = subprocess.Popen(
            [sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, close_fds=False
        )
    try:
        with isolated_domain() as other:
            assert other != domain
    finally:
        left.communicate(b'\n', timeout=20)


@pytest.mark.skipif(os.getuid() != 0, reason='only root becomes another user')
def test_a_domain_of_another_user_is_not_given_out():
    """Nor is it an error that this user has made a lock of that name before."""
    with isolated_domain() as domain:
        command = [sys.executable, '-c', AS_NOBODY, str(domain)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.split() == ['None', 'RuntimeError', 'free'], done.stderr


def test_the_former_names_still_work():
    """Tests outside this repository import them."""
    assert testing.NotSeenError is testing.WaitTimeoutError
    assert testing.own_domain is testing.isolated_domain
    assert testing.PipelineProbe.ask is testing.PipelineProbe.call
