"""Where images come from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from flown import ready, tick

from worker_pipeline import EndOfStream, ParameterError
from worker_pipeline.airside import image
from worker_pipeline.airside.video_input import VideoInput
from worker_pipeline.simulation.imagery import synthetic_ground

FRAMES = 25
RATE = 10.0


def frame(number):
    """A picture that says its own number in its brightness, whatever a codec does to it."""
    return np.full((48, 64, 3), 20 + 8 * number, np.uint8)


def number_of(message):
    return round((float(image.from_message(message).mean()) - 20) / 8)


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    """The same frames as a video and as a folder."""
    root = tmp_path_factory.mktemp('recorded')
    video, folder = root / 'frames.avi', root / 'frames'
    folder.mkdir()
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), RATE, (64, 48))
    assert writer.isOpened()
    for number in range(FRAMES):
        writer.write(frame(number))
        cv2.imwrite(str(folder / f'{number:04}.png'), frame(number))
    writer.release()
    (folder / 'notes.txt').write_text('not an image')
    return {'file': str(video), 'folder': str(folder)}


@pytest.fixture(scope='module')
def ground(tmp_path_factory):
    path = tmp_path_factory.mktemp('ground') / 'ground.png'
    cv2.imwrite(str(path), synthetic_ground(100.0).pixels)
    return str(path)


def source(recorded, kind):
    return ready(VideoInput(), {'camera': kind, 'path': recorded[kind], 'frame_rate': RATE})


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_the_frame_follows_the_streams_time(recorded, kind):
    stage = source(recorded, kind)
    for number in (0, 1, 2, 2, 7, 3, 24, 0):
        message = stage.process(tick(number / RATE))
        assert number_of(message) == number
        assert (message.width, message.height) == (64, 48)
    assert number_of(stage.process(tick(0.55))) == 5
    stage.cleanup()


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_a_replacement_goes_on_where_the_dead_one_was(recorded, kind):
    source(recorded, kind).process(tick(1.0))
    assert number_of(source(recorded, kind).process(tick(1.1))) == 11


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_the_stream_ends_after_the_last_frame(recorded, kind):
    stage = source(recorded, kind)
    stage.process(tick((FRAMES - 1) / RATE))
    with pytest.raises(EndOfStream):
        stage.process(tick(FRAMES / RATE))


@pytest.mark.parametrize(
    ('params', 'error', 'text'),
    [
        ({'camera': 'file', 'path': 'no.avi'}, FileNotFoundError, 'allowed: a video file'),
        ({'camera': 'folder', 'path': 'no'}, FileNotFoundError, 'allowed: a folder'),
        ({'camera': 'simulated', 'path': 'no.png'}, FileNotFoundError, 'fetch_imagery'),
        ({'camera': 'device', 'path': '/nowhere/video9'}, OSError, 'is not a camera'),
    ],
)
def test_a_camera_that_is_not_there_is_named(params, error, text):
    with pytest.raises(error, match=text):
        ready(VideoInput(), params)


def test_what_is_no_video_and_no_image_is_named(tmp_path):
    for broken in (tmp_path / 'broken.png', tmp_path / 'broken.avi'):
        broken.write_text('not an image')
    with pytest.raises(OSError, match='is not a video'):
        ready(VideoInput(), {'camera': 'file', 'path': str(broken)})
    stage = ready(VideoInput(), {'camera': 'folder', 'path': str(tmp_path)})
    with pytest.raises(OSError, match='is not an image'):
        stage.process(tick(0.0))


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no image in'):
        ready(VideoInput(), {'camera': 'folder', 'path': str(tmp_path)})


def test_a_device_gives_one_frame_after_the_other(recorded):
    """OpenCV opens a file where a device is named, which stands in for one."""
    stage = ready(VideoInput(), {'camera': 'device', 'path': recorded['file']})
    assert [number_of(stage.process(tick(0.0))) for _ in range(3)] == [0, 1, 2]
    for _ in range(FRAMES - 3):
        stage.process(tick(0.0))
    with pytest.raises(OSError, match='gave no image'):
        stage.process(tick(9.0))


def test_the_simulated_camera_is_a_function_of_time(ground):
    params = {'path': ground, 'width': 320, 'height': 200}
    first, second = (ready(VideoInput(), params) for _ in range(2))
    first.process(tick(4.0))
    message = first.process(tick(12.3))
    assert (message.width, message.height, message.encoding) == (320, 200, 'bgr8')
    assert message.data == second.process(tick(12.3)).data
    assert message.data != second.process(tick(12.4)).data


def test_the_simulated_flight_ends(ground):
    stage = ready(VideoInput(), {'path': ground, 'width': 64, 'height': 48, 'duration': 2.0})
    stage.process(tick(2.0))
    with pytest.raises(EndOfStream):
        stage.process(tick(2.1))


def test_an_unknown_camera_is_named():
    with pytest.raises(ParameterError, match=r"camera: found 'webcam'.*'simulated'"):
        VideoInput().bind({'camera': 'webcam'})
