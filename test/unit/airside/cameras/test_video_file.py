# SPDX-License-Identifier: Apache-2.0
"""Video files, complete and truncated."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np
import pytest
from support.fake_camera import number_of, picture

from worker_pipeline import EndOfStream, StageStatus
from worker_pipeline.airside.cameras.video_file import VideoFile

FRAMES = 25
SIZE = (320, 240)


def record(path, codec='MJPG'):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10.0, SIZE)
    assert writer.isOpened()
    # So that the file is mostly frames, and half a frame differs from a whole one.
    noise = np.random.default_rng(1).integers(-8, 9, (240, 320, 3))
    for number in range(FRAMES):
        writer.write((picture(number, SIZE) + noise).astype(np.uint8))
    writer.release()
    return path


def cut(path, share):
    """Truncate the file, as a power cut does."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def opened(path, rate=0.0):
    return VideoFile(str(path), rate, StageStatus())


def numbers(video, first=0):
    """Return the numbers of all frames from one on."""
    found = []
    with contextlib.suppress(EndOfStream):
        while len(found) <= FRAMES:
            found += [number_of(video.read(first + len(found)))]
    return found


@pytest.mark.slow
@pytest.mark.parametrize('container', ['avi', 'mkv'])
def test_every_frame_is_read_in_any_order(tmp_path, container):
    """In order, backwards, and with jumps."""
    video = opened(record(tmp_path / f'whole.{container}'))
    assert (video.rate, video.size) == (10.0, SIZE)
    for index in (0, 1, 2, 7, 3, 24):
        assert number_of(video.read(index)) == index
    assert numbers(video) == list(range(FRAMES))
    assert video.error_message == ''
    video.close()


@pytest.mark.slow
@pytest.mark.parametrize('first', [0, 10])
@pytest.mark.parametrize('container', ['avi', 'mkv'])
def test_a_truncated_video_is_played_as_far_as_possible(tmp_path, container, first):
    """Only complete frames, in order; then the number of missing ones is reported."""
    video = opened(cut(record(tmp_path / f'cut.{container}'), 0.6))
    found = numbers(video, first)
    readable = first + len(found)
    assert 12 <= readable <= 16
    assert found == list(range(first, readable))
    assert f'is truncated: of 25 frames {readable} can be read' in video.error_message
    assert video._status.values == {'unreadable': str(FRAMES - readable)}
    with pytest.raises(EndOfStream):
        video.read(20)
    assert video._status.values == {'unreadable': str(FRAMES - readable)}


def test_a_seek_past_the_readable_part_ends_the_video(tmp_path):
    video = opened(cut(record(tmp_path / 'cut.avi'), 0.6))
    with pytest.raises(EndOfStream):
        video.read(22)
    assert 'is truncated: of 25 frames 1' in video.error_message


def test_a_video_of_unknown_length_is_played_to_its_end(tmp_path):
    """Images in a row, as a camera sends them."""
    path = tmp_path / 'endless.mjpeg'
    path.write_bytes(b''.join(cv2.imencode('.jpg', picture(each))[1] for each in range(FRAMES)))
    video = opened(path, 10.0)
    assert video._count == 0
    assert numbers(video) == list(range(FRAMES))
    assert video.error_message == ''


@pytest.mark.parametrize(('name', 'share'), [('no.avi', 0.001), ('cut.mp4', 0.5)])
def test_an_unreadable_video_is_named(tmp_path, name, share):
    path = cut(record(tmp_path / name, 'mp4v' if name.endswith('mp4') else 'MJPG'), share)
    with pytest.raises(OSError, match=r'path: .* is not a video that OpenCV can read'):
        opened(path)


def test_noise_within_a_video_loses_only_the_frames_in_it(tmp_path):
    path = record(tmp_path / 'noise.avi')
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 100] = np.random.default_rng(1).bytes(100)
    path.write_bytes(data)
    found = numbers(opened(path))
    assert found[:10] == list(range(10))
    assert found[-5:] == list(range(20, 25))
