"""Files that are there whole or not at all."""

from __future__ import annotations

import os

import pytest

from worker_pipeline.runtime.whole_files import write_whole


def test_it_is_on_the_disk_before_it_has_its_name_and_then_the_name_is(tmp_path, monkeypatch):
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
    write_whole(tmp_path / 'a', lambda file: file.write(b'content'))
    assert done == [str(tmp_path / '.a.part'), 'renamed', str(tmp_path)]
    assert (tmp_path / 'a').read_bytes() == b'content'


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    write_whole(tmp_path / 'a', lambda file: file.write(b'before'))

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        write_whole(tmp_path / 'a', lambda file: file.write(b'after'))
    assert (tmp_path / 'a').read_bytes() == b'before'
    assert os.listdir(tmp_path) == ['a']
