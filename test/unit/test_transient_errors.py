# SPDX-License-Identifier: Apache-2.0
"""Which errors may pass by themselves."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from worker_pipeline.transient_errors import file_may_appear, is_transient


@pytest.mark.parametrize(
    'number',
    [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENOSPC, errno.EROFS, errno.EADDRINUSE],
)
def test_what_the_machine_is_short_of_may_come_back(number: int):
    """Whether the error has its number, or only its text, as those of native libraries."""
    assert is_transient(OSError(number, os.strerror(number)))
    assert is_transient(RuntimeError(f'eventfd_select_interrupter: {os.strerror(number)}'))


@pytest.mark.parametrize(
    'error',
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        TimeoutError('timed out'),
        ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)),
        ConnectionError('no answer'),
        socket.gaierror(socket.EAI_AGAIN, 'Temporary failure in name resolution'),
        ImportError('libx.so: failed to map segment: Cannot allocate memory'),
    ],
)
def test_memory_threads_and_the_network_are_found_by_class_or_text(error: Exception):
    """As Python and the dynamic linker raise them."""
    assert is_transient(error)


@pytest.mark.parametrize(
    'error',
    [
        ValueError('no'),
        ModuleNotFoundError("No module named 'cv3'"),
        PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
        NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)),
        OSError('no number'),
    ],
)
def test_a_mistake_stays(error: Exception):
    """Another attempt would find the same."""
    assert not is_transient(error)


def test_a_cause_counts():
    """An error raised from one that may pass, or while it was handled; not one that was hidden."""
    cause = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    explicit, implicit, hidden = ValueError('a'), ValueError('b'), ValueError('c')
    explicit.__cause__ = cause
    implicit.__context__ = cause
    hidden.__context__, hidden.__suppress_context__ = cause, True
    assert [is_transient(each) for each in (explicit, implicit, hidden)] == [True, True, False]


def test_a_circle_of_causes_has_an_end():
    """Whatever a user's code has made."""
    one, two = ValueError('one'), ValueError('two')
    one.__cause__, two.__cause__ = two, one
    assert not is_transient(one)


def test_an_error_that_cannot_be_read_stays():
    """Its text raises, and so does each of its attributes."""

    class OpaqueError(Exception):
        def __getattribute__(self, name):
            raise RuntimeError(name)

        def __str__(self):
            raise RuntimeError('no text')

    assert not is_transient(OpaqueError())


def test_only_a_missing_file_may_appear():
    """Not a missing module."""
    assert file_may_appear(FileNotFoundError(errno.ENOENT, 'x'))
    assert not file_may_appear(ModuleNotFoundError('x'))
    assert not file_may_appear(PermissionError(errno.EACCES, 'x'))
