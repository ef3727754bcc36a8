# SPDX-License-Identifier: Apache-2.0
"""Files exist completely or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from worker_pipeline.system.atomic_files import write_atomically


def test_content_is_synced_before_the_rename_and_the_folder_after_it(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(file):
        done.append(os.readlink(f'/proc/self/fd/{file}'))
        fsync(file)

    def note_replace(path, target):
        done.append('renamed')
        return replace(path, target)

    monkeypatch.setattr(os, 'fsync', note_fsync)
    monkeypatch.setattr(os, 'replace', note_replace)
    write_atomically(tmp_path / 'a', lambda file: file.write(b'content'))
    assert done == [str(tmp_path / '.a.part'), 'renamed', str(tmp_path)]
    assert (tmp_path / 'a').read_bytes() == b'content'


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    write_atomically(tmp_path / 'a', lambda file: file.write(b'before'))

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        write_atomically(tmp_path / 'a', lambda file: file.write(b'after'))
    assert (tmp_path / 'a').read_bytes() == b'before'
    assert os.listdir(tmp_path) == ['a']


@pytest.mark.parametrize(('umask', 'mode'), [(0o022, 0o644), (0o077, 0o600), (0o777, 0o600)])
def test_the_owner_can_read_a_file_whatever_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / 'a', lambda file: file.write(b'content'), 0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'a').stat().st_mode) == mode
