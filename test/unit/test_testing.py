"""What ``worker_pipeline.testing`` offers, without a pipeline."""

from __future__ import annotations

import subprocess
import sys

import pytest

from worker_pipeline.testing import NotSeenError, own_domain, wait_for

HOLDER = """
from worker_pipeline.testing import own_domain

with own_domain() as domain:
    print(domain, flush=True)
    input()
"""


def test_a_wait_returns_what_it_waited_for():
    """As soon as it is true."""
    told = iter(['', '', 'there'])
    assert wait_for(lambda: next(told), 'a word') == 'there'


def test_a_wait_in_vain_says_what_did_not_come_and_what_is_there_instead():
    """It has an end."""
    with pytest.raises(NotSeenError) as raised:
        wait_for(lambda: False, 'the answers', 0.01, lambda: [1, 2])
    assert str(raised.value) == ('did not come within 0.01 s: the answers; seen instead: [1, 2]')


def test_no_two_have_the_same_domain():
    """Neither here nor in another process."""
    with own_domain() as first, own_domain() as second:
        command = [sys.executable, '-c', HOLDER]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            third = int(holder.stdout.readline())
            assert len({first, second, third}) == 3
            holder.communicate('\n', timeout=20)


def test_a_domain_is_kept_by_what_was_left_behind_in_it():
    """However it came to be left."""
    with own_domain() as domain:
        left = subprocess.Popen(
            [sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, close_fds=False
        )
    try:
        with own_domain() as other:
            assert other != domain
    finally:
        left.communicate(b'\n', timeout=20)
