# SPDX-License-Identifier: Apache-2.0
"""Frames saved in a folder."""

from __future__ import annotations

import errno
import os
import threading

import cv2
import numpy as np
import pytest
from support.fake_camera import number_of, picture

from worker_pipeline import StageStatus
from worker_pipeline.airside.cameras import CameraFrame, frame_saver
from worker_pipeline.airside.cameras.frame_saver import FrameSaver
from worker_pipeline.testing import wait_for

SECOND = 1_000_000_000


def frame(number):
    return CameraFrame(picture(number), 1_700_000_000 * SECOND + number)


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
def test_frames_are_saved_in_files_named_by_their_stamps(start, tmp_path, kind):
    """In order, and readable for everybody."""
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


def test_every_nth_frame_is_saved(start, tmp_path):
    saver = start(tmp_path, every=3)
    for number in range(7):
        saver.offer(frame(number))
    saver.close()
    assert sorted(each.name[-5] for each in tmp_path.iterdir()) == ['0', '3', '6']


@pytest.mark.slow
def test_a_slow_disk_drops_saves_but_not_frames(start, tmp_path, monkeypatch):
    """The dropped saves are counted."""
    gate, write = threading.Event(), frame_saver.write_atomically

    def write_later(*arguments):
        assert gate.wait(10.0)
        write(*arguments)

    monkeypatch.setattr(frame_saver, 'write_atomically', write_later)
    saver = start(tmp_path)
    saver.offer(frame(0))
    wait_for(lambda: saver._waiting.empty(), 'that the first is being written')
    for number in range(1, 11):
        saver.offer(frame(number))
    gate.set()
    saver.close()
    assert saver._status.values == {'saved': '5', 'saves_dropped': '6'}
    assert len(list(tmp_path.iterdir())) == 5


def test_a_full_disk_is_reported_until_there_is_space(start, tmp_path, monkeypatch):
    full = True

    def sync(_):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', sync)
    saver = start(tmp_path)
    saver.offer(frame(0))
    wait_for(lambda: saver.error_message, 'the error message')
    assert saver.error_message == 'a frame could not be saved: [Errno 28] No space left on device'
    assert list(tmp_path.iterdir()) == []
    full = False
    saver.offer(frame(1))
    wait_for(lambda: not saver.error_message, 'the end of the error message')
    assert saver._status.values == {'saves_failed': '1', 'saved': '1'}


def test_partial_files_of_a_killed_worker_are_removed(start, tmp_path):
    (tmp_path / '.1700000000_000000001.png.part').write_bytes(b'half')
    (tmp_path / 'of_somebody_else.part').write_bytes(b'kept')
    start(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ['of_somebody_else.part']


def test_an_impossible_folder_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match=r'save_to: .*Not a directory|save_to: .*File exists'):
        FrameSaver(str(tmp_path / 'file'), 'png', 1, StageStatus())
