# SPDX-License-Identifier: Apache-2.0
"""Sockets find room where TMPDIR is long."""

from __future__ import annotations

import multiprocessing.connection
import os
import shutil
import tempfile
from multiprocessing import process, util

import pytest

from worker_pipeline.system import temporary_folder
from worker_pipeline.system.temporary_folder import (
    MAX_BASE,
    forbid_abstract_sockets,
    shorten_socket_paths,
)


@pytest.fixture
def config(monkeypatch):
    """The settings of multiprocessing, as at the start of a process."""
    monkeypatch.setattr(process.current_process(), '_config', {})
    monkeypatch.setattr(util, 'Finalize', lambda *_, **__: None)
    settings = process.current_process()._config  # type: ignore[attr-defined]
    yield settings
    shutil.rmtree(settings.get('tempdir', ''), ignore_errors=True)


@pytest.mark.parametrize('length', [1, MAX_BASE, MAX_BASE + 1, 300])
def test_a_socket_can_be_made_whatever_the_length_of_tmpdir(
    config, tmp_path, monkeypatch, length: int
):
    """The usual folder is used as long as it is short enough."""
    base = str(tmp_path)
    while len(base) + 1 < length:
        base += '/' + 'x' * min(100, length - len(base) - 1)
    os.makedirs(base, exist_ok=True)
    monkeypatch.setattr(tempfile, 'tempdir', base)
    shorten_socket_paths()
    if len(base) <= MAX_BASE:
        assert config == {}
    address = multiprocessing.connection.arbitrary_address('AF_UNIX')
    with multiprocessing.connection.Listener(address, family='AF_UNIX'):
        assert os.path.exists(address)


def test_no_socket_is_one_that_other_users_can_connect_to(monkeypatch):
    """Also with a Python whose multiprocessing would make such; forked processes inherit it."""
    monkeypatch.setattr(util, 'abstract_sockets_supported', True)
    forbid_abstract_sockets()
    assert util.abstract_sockets_supported is False
    with multiprocessing.connection.Listener(family='AF_UNIX') as listener:
        assert str(listener.address).startswith('/')


def test_without_any_short_folder_the_variable_is_named(config, monkeypatch):
    """With the allowed length."""
    monkeypatch.setattr(tempfile, 'tempdir', '/' + 'x' * 100)
    monkeypatch.setattr(temporary_folder, 'SHORT_PLACES', ('/nonexistent',))
    with pytest.raises(OSError, match=rf'^TMPDIR: found a path of 101 .*up to {MAX_BASE} bytes'):
        shorten_socket_paths()
    assert config == {}
