# SPDX-License-Identifier: Apache-2.0
"""Descriptors that libraries open, and the programs that would inherit them."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from worker_pipeline.system.close_on_exec import closing_on_exec


def inheritable() -> int:
    """Open a descriptor that programs inherit, as native libraries do."""
    descriptor = os.open('/dev/null', os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    return descriptor


def inherited() -> set[int]:
    """Return the descriptors of a program that inherits whatever it can."""
    shown = subprocess.run(
        ['ls', '/proc/self/fd'], close_fds=False, capture_output=True, check=True
    )
    return {int(each) for each in shown.stdout.split()}


def test_what_is_opened_in_the_context_is_not_inherited():
    """What was open before still is: a stage may have made it inheritable on purpose."""
    before = inheritable()
    with closing_on_exec():
        opened = [inheritable() for _ in range(3)]
    try:
        assert inherited() & {before, *opened} == {before}
    finally:
        for each in (before, *opened):
            os.close(each)


def test_a_number_that_was_used_before_may_be_another_descriptors():
    """The library has closed the first one."""
    number = inheritable()
    with socket.socket() as another, closing_on_exec():
        os.dup2(another.fileno(), number, inheritable=True)
    try:
        assert not os.get_inheritable(number)
    finally:
        os.close(number)


def test_they_are_not_inherited_where_the_library_fails():
    opened = []

    def fail() -> None:
        opened.append(inheritable())
        raise RuntimeError

    with pytest.raises(RuntimeError), closing_on_exec():
        fail()
    assert not os.get_inheritable(opened[0])
    os.close(opened[0])
