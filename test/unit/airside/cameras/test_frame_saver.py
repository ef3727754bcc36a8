"""Frames kept in a folder."""

from __future__ import annotations

import errno
import os
import threading

import cv2
import numpy as np
import pytest
from support.fake_camera import number_of, picture

from worker_pipeline import StageStatus
from worker_pipeline.airside.cameras import Frame, frame_saver
from worker_pipeline.airside.cameras.frame_saver import FrameSaver
from worker_pipeline.testing import wait_for

SECOND = 1_000_000_000


def frame(number):
    return Frame(picture(number), 1_700_000_000 * SECOND + number)


@pytest.fixture
def start():
    started = []

    def start_saving(folder, kind='png', every=1):
        saver = FrameSaver(str(folder), kind, every, StageStatus())
        started.append(saver)
        return saver

    yield start_saving
    for each in started:
        each.close()


@pytest.mark.parametrize('kind', ['png', 'jpg'])
def test_frames_are_in_files_named_by_their_stamps(start, tmp_path, kind):
    """In order, and whoever may read them."""
    saver = start(tmp_path / 'made' / 'for_it', kind)
    for number in range(3):
        saver.offer(frame(number))
    saver.close()
    files = sorted((tmp_path / 'made' / 'for_it').iterdir())
    assert [each.name for each in files] == [f'1700000000_00000000{each}.{kind}' for each in '012']
    assert [number_of(cv2.imread(str(each))) for each in files] == [0, 1, 2]
    assert saver._status.values == {'saved': '3'}
    if kind == 'png':
        np.testing.assert_array_equal(cv2.imread(str(files[2])), picture(2))


def test_some_of_them_are_saved(start, tmp_path):
    saver = start(tmp_path, every=3)
    for number in range(7):
        saver.offer(frame(number))
    saver.close()
    assert sorted(each.name[-5] for each in tmp_path.iterdir()) == ['0', '3', '6']


def test_a_slow_disk_costs_frames_on_the_disk_only(start, tmp_path, monkeypatch):
    """They are counted."""
    gate, write = threading.Event(), frame_saver.write_whole

    def write_later(*arguments):
        assert gate.wait(10.0)
        write(*arguments)

    monkeypatch.setattr(frame_saver, 'write_whole', write_later)
    saver = start(tmp_path)
    saver.offer(frame(0))
    wait_for(lambda: saver._waiting.empty(), 'that the first is being written')
    for number in range(1, 11):
        saver.offer(frame(number))
    gate.set()
    saver.close()
    assert saver._status.values == {'saved': '5', 'saves_dropped': '6'}
    assert len(list(tmp_path.iterdir())) == 5


def test_a_full_disk_is_told_until_there_is_room(start, tmp_path, monkeypatch):
    full = True

    def sync(_):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', sync)
    saver = start(tmp_path)
    saver.offer(frame(0))
    wait_for(lambda: saver.trouble, 'that it is told')
    assert saver.trouble == 'a frame could not be saved: [Errno 28] No space left on device'
    assert list(tmp_path.iterdir()) == []
    full = False
    saver.offer(frame(1))
    wait_for(lambda: not saver.trouble, 'that it is over')
    assert saver._status.values == {'saves_failed': '1', 'saved': '1'}


def test_what_a_killed_one_left_half_written_goes(start, tmp_path):
    (tmp_path / '.1700000000_000000001.png.part').write_bytes(b'half')
    (tmp_path / 'of_somebody_else.part').write_bytes(b'kept')
    start(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ['of_somebody_else.part']


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match=r'save_to: .*Not a directory|save_to: .*File exists'):
        FrameSaver(str(tmp_path / 'file'), 'png', 1, StageStatus())
