# SPDX-License-Identifier: Apache-2.0
"""A slow, broken or full disk blocks nobody and leaves no half of a quarantined item."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import subprocess
import sys
import threading
import time

import pytest
from support.quarantined_items import both_forms, item, kept, serious

from worker_pipeline.quarantine import files as quarantine_files
from worker_pipeline.quarantine import store as quarantine
from worker_pipeline.quarantine.store import QuarantineStore, items_in, read
from worker_pipeline.testing import wait_for


@pytest.fixture
def gate(monkeypatch):
    """While it is not set, the disk takes nothing."""
    opened = threading.Event()
    write = quarantine_files.write

    def write_later(*arguments):
        assert opened.wait(20.0)
        write(*arguments)

    monkeypatch.setattr(quarantine_files, 'write', write_later)
    yield opened
    opened.set()


@pytest.mark.slow
def test_a_blocked_disk_does_not_block_the_caller(make_store, gate, errors):
    """Items wait in the queue, and are written once the disk responds."""
    store = make_store()
    began = time.monotonic()
    paths = [store.keep(item(stamp=stamp)) for stamp in range(20)]
    assert not store.close(0.05)
    assert time.monotonic() - began < 5.0
    assert list(items_in(store.folder)) == []
    assert '20 items are not written after 0.05 s' in serious(errors)[0]
    gate.set()
    assert store.close(10.0)
    assert sorted(items_in(store.folder)) == sorted(paths)


def test_too_many_items_for_the_disk_are_refused(make_store, gate, errors, monkeypatch):
    """So that they do not fill the memory."""
    monkeypatch.setattr(quarantine, 'WAITING_ITEMS', 2)
    store = make_store()
    assert None not in (store.keep(item()), store.keep(item()))
    assert store.keep(item()) is None
    assert 'is not kept: 2 items' in serious(errors)[0]
    gate.set()
    wait_for(lambda: store.keep(item()), 'room again')


def test_too_many_bytes_for_the_disk_are_refused_but_not_one_item_alone(
    make_store, gate, errors, monkeypatch
):
    """However large: it is in memory anyway."""
    monkeypatch.setattr(quarantine, 'WAITING_BYTES', 10)
    store = make_store()
    assert store.keep(item(message=b'x' * 1000)) is not None
    assert store.keep(item(message=b'x')) is None
    assert '(1000 bytes) wait for the disk' in serious(errors)[0]
    gate.set()
    wait_for(lambda: not store._waiting, 'all written')
    gate.clear()
    assert None not in (store.keep(item(message=b'x')), store.keep(item(message=b'x')))
    gate.set()
    assert store.close(10.0)


def test_a_closed_store_accepts_no_items(make_store, errors):
    """A warning is logged."""
    store = make_store()
    assert store.close(5.0)
    assert store.keep(item()) is None
    assert 'is closed' in serious(errors)[0]


@both_forms
def test_a_folder_that_cannot_be_created_is_reported_and_the_next_item_is_tried(
    make_store, errors, tmp_path
):
    """A file stands in its place; later it is gone."""
    obstacle = tmp_path / 'quarantine'
    obstacle.write_text('in the way')
    store = make_store()
    path = store.keep(item())
    wait_for(lambda: serious(errors), 'the error')
    assert f'{path} could not be written' in serious(errors)[0]
    obstacle.unlink()
    (path,) = kept(store, item())
    assert read(path) == item()
    assert len(serious(errors)) == 1


@both_forms
def test_a_folder_without_write_permission_is_reported(make_store, errors, tmp_path):
    """The folder's owner must not change."""
    folder = tmp_path / 'theirs'
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip('we may write everywhere')
    kept(make_store(folder), item())
    assert 'Permission denied' in serious(errors)[0]


def test_a_full_disk_is_reported_and_leaves_no_partial_file(make_store, form, errors, monkeypatch):
    """Items that fit later are written."""
    # Of two files the first has room, and its folder's entry too.
    synced = 0 if form == 'mcap' else 2
    full = threading.Event()
    full.set()
    fsync = os.fsync
    calls = itertools.count()

    def fsync_if_room(descriptor):
        if full.is_set() and next(calls) >= synced:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', fsync_if_room)
    store = make_store()
    store.keep(item())
    wait_for(lambda: serious(errors), 'the error')
    assert 'No space left on device' in serious(errors)[0]
    assert list(store.folder.iterdir()) == []
    full.clear()
    (path,) = kept(store, item())
    assert read(path) == item()


def test_an_exception_in_the_error_callback_does_not_stop_the_writing(tmp_path):
    """A logger may be shut down before us."""

    def on_error(_text):
        raise RuntimeError('no longer')

    store = QuarantineStore(tmp_path / 'quarantine', on_error=on_error)
    (tmp_path / 'quarantine').write_text('in the way')
    store.keep(item())
    wait_for(lambda: not store._waiting, 'the failure')
    (tmp_path / 'quarantine').unlink()
    (path,) = kept(store, item())
    assert read(path) == item()


@both_forms
def test_a_file_is_invisible_until_it_is_complete(make_store, monkeypatch):
    """Only its whole gets the name."""
    half, whole = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow_fsync(descriptor):
        half.set()
        assert whole.wait(20.0)
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', slow_fsync)
    store = make_store()
    path = store.keep(item())
    assert half.wait(20.0)
    try:
        assert not path.exists()
        assert list(items_in(store.folder)) == []
        assert len(list(store.folder.glob('.*.part'))) == 1
    finally:
        whole.set()
    assert store.close(10.0)
    assert read(path) == item()
    assert list(store.folder.glob('.*')) == []


@both_forms
def test_partial_files_of_killed_writers_are_removed_and_those_of_live_ones_are_not(
    make_store, tmp_path
):
    """Another manager may write into the same folder."""
    folder = tmp_path / 'quarantine'
    folder.mkdir()
    (folder / '.left.mcap.part').write_bytes(b'half')
    with (folder / '.being_written.mcap.part').open('wb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept(make_store(), item())
        assert [path.name for path in folder.glob('.*')] == ['.being_written.mcap.part']


@pytest.mark.slow
def test_a_killed_process_leaves_only_complete_items(tmp_path, form):
    """Killed in the middle of writing, again and again."""
    code = """if True:
        import sys
        from pathlib import Path
        if sys.argv[2] == 'plain':
            sys.modules['mcap.reader'] = None
        from worker_pipeline.quarantine.store import QuarantinedItem, QuarantineStore
        store = QuarantineStore(Path(sys.argv[1]), on_error=lambda text: None)
        print('ready', flush=True)
        while True:
            store.keep(QuarantinedItem(
                stage='s', source='i', topic='/t', message_type='std_msgs/msg/Header',
                message=bytes(100_000), stamp=1, attempts=1, cause='', at=1))
    """
    folder = tmp_path / 'quarantine'
    for _ in range(3):
        command = [sys.executable, '-c', code, str(folder), form]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b'ready\n'
            before = len(list(folder.glob('*')))
            wait_for(lambda before=before: len(list(folder.glob('*'))) > before + 5, 'some items')
            writer.kill()
    found = list(items_in(folder))
    assert len(found) >= 6
    assert all(read(path).message == bytes(100_000) for path in found)
