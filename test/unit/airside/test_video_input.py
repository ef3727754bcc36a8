# SPDX-License-Identifier: Apache-2.0
"""The sources of images."""

from __future__ import annotations

import time
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from flown import BEGINNING, configured, stamp_at, tick
from support.fake_camera import SIZE, FakeDevice, number_of, picture

from worker_pipeline import EndOfStream, ParameterError
from worker_pipeline.airside.messages import image
from worker_pipeline.airside.simulation.imagery import synthetic_ground
from worker_pipeline.airside.video_input import VideoInput
from worker_pipeline.context import stamp_ns
from worker_pipeline.testing import wait_for

FRAMES = 25
RATE = 10.0
CALIBRATED = {'width': SIZE[0], 'height': SIZE[1]}


def number_in(message):
    return number_of(image.from_message(message))


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    """Return the same frames as a video and as a folder."""
    root = tmp_path_factory.mktemp('recorded')
    video, folder = root / 'frames.avi', root / 'frames'
    folder.mkdir()
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), RATE, SIZE)
    assert writer.isOpened()
    for number in range(FRAMES):
        writer.write(picture(number))
        cv2.imwrite(str(folder / f'{number:04}.png'), picture(number))
    writer.release()
    return {'file': str(video), 'folder': str(folder)}


@pytest.fixture(scope='module')
def ground(tmp_path_factory):
    path = tmp_path_factory.mktemp('ground') / 'ground.png'
    cv2.imwrite(str(path), synthetic_ground(100.0).pixels)
    return str(path)


@pytest.fixture
def device(monkeypatch):
    fake = FakeDevice()
    monkeypatch.setattr(cv2, 'VideoCapture', fake)
    return fake


@pytest.fixture
def live(device):
    """Return a maker of stages with a fake camera, which gives images at once or never."""
    made = []

    def make(**params):
        given = {'camera': 'device', 'path': '0', 'read_timeout': 10.0, **CALIBRATED, **params}
        made.append(configured(VideoInput(), given))
        return made[-1]

    yield make
    device.pull_out()
    for each in made:
        each.cleanup()


def source(recorded, kind, **params):
    given = {'camera': kind, 'path': recorded[kind], 'frame_rate': RATE, **CALIBRATED, **params}
    return configured(VideoInput(), given)


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_the_frame_follows_the_streams_time(recorded, kind):
    """It is stamped with its start."""
    stage = source(recorded, kind)
    for number in (0, 1, 2, 7, 24):
        message = stage.process(tick(number / RATE + 0.04))
        assert number_in(message) == number
        assert (message.width, message.height) == SIZE
        assert message.header.stamp == stamp_at(number / RATE)
    stage.cleanup()


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_no_frame_is_returned_twice(recorded, kind):
    """Nor by a replacement with the dead worker's state; without it, frames are repeated."""
    dead = source(recorded, kind, read_timeout=0.0)
    message = dead.process(tick(1.0))
    assert dead.process(tick(1.05)) is None
    again = source(recorded, kind).process(tick(1.05))
    assert again.header.stamp == message.header.stamp
    replacement = source(recorded, kind, read_timeout=0.0)
    replacement.restore_state(dead.save_state())
    assert replacement.process(tick(1.05)) is None
    assert number_in(replacement.process(tick(1.1))) == 11


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_where_the_stream_starts_over_the_recording_does(recorded, kind):
    """Simulated time was set back. A request that is merely late changes nothing."""
    stage = source(recorded, kind, read_timeout=0.0)
    assert number_in(stage.process(tick(2.4))) == 24
    assert stage.process(tick(1.0)) is None
    assert number_in(stage.process(tick(0.04))) == 0
    assert number_in(stage.process(tick(0.14))) == 1
    stage.cleanup()


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
        ({'camera': 'device', 'pixel_format': 'MJPEG'}, ValueError, "found 'MJPEG'; allowed: four"),
        ({'calibration_file': 'no.yaml'}, OSError, 'calibration_file: .*no.yaml'),
    ],
)
def test_a_missing_camera_is_named(params, error, text):
    with pytest.raises(error, match=text):
        configured(VideoInput(), params)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no image in'):
        configured(VideoInput(), {'camera': 'folder', 'path': str(tmp_path)})


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_images_of_uncalibrated_size_are_rejected(recorded, kind):
    with pytest.raises(
        ValueError, match='width, height: found images of 64x48; allowed: 1920x1200'
    ):
        configured(VideoInput(), {'camera': kind, 'path': recorded[kind]})


def test_only_an_image_of_another_size_is_rejected(tmp_path):
    """The others pass; the worker's status reports it."""
    for number, size in enumerate((SIZE, (32, 16), SIZE)):
        cv2.imwrite(str(tmp_path / f'{number}.png'), picture(number, size))
    stage = source({'folder': str(tmp_path)}, 'folder')
    assert number_in(stage.process(tick(0.0))) == 0
    assert stage.process(tick(0.1)) is None
    assert stage.status.level == 'error'
    assert 'found images of 32x16; allowed: 64x48' in stage.status.message
    assert stage.status.values == {'unusable_images': '1'}
    assert number_in(stage.process(tick(0.2))) == 2
    assert stage.status.level == 'ok'


def test_an_unreadable_image_is_skipped_and_reported(tmp_path, caplog):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), picture(number))
    (tmp_path / '1.png').write_text('not an image')
    stage = source({'folder': str(tmp_path)}, 'folder')
    assert stage.process(tick(0.1)) is None
    assert (stage.status.level, stage.status.values) == ('warn', {'unreadable': '1'})
    assert number_in(stage.process(tick(0.2))) == 2
    assert stage.status.level == 'ok'
    assert caplog.text.count('is not an image') == 1


def test_a_truncated_video_ends_early_with_a_reason(recorded, tmp_path):
    whole = Path(recorded['file']).read_bytes()
    (tmp_path / 'cut.avi').write_bytes(whole[:-3000])
    stage = source({'file': str(tmp_path / 'cut.avi')}, 'file')
    stage.process(tick(0.0))
    with pytest.raises(EndOfStream):
        stage.process(tick(2.4))
    assert stage.status.level == 'warn'
    assert 'is truncated: of 25 frames' in stage.status.message


def test_camera_info_is_published_with_each_image(recorded):
    stage = source(recorded, 'file', frame_id='nadir', focal_length=[50.0, 51.0])
    images = [stage.process(tick(each / RATE)) for each in range(3)]
    infos = stage.topic['camera_info'].messages
    assert [each.header for each in infos] == [each.header for each in images]
    assert infos[-1].header.frame_id == 'nadir'
    assert (infos[-1].width, infos[-1].height, infos[-1].k[0]) == (*SIZE, 50.0)


def test_a_calibration_file_overrides_the_parameters(recorded, tmp_path):
    path = tmp_path / 'camera.yaml'
    matrices = {
        'camera_matrix': [50, 0, 32, 0, 50, 24, 0, 0, 1],
        'rectification_matrix': [1, 0, 0, 0, 1, 0, 0, 0, 1],
        'projection_matrix': [48, 0, 32, 0, 0, 48, 24, 0, 0, 0, 1, 0],
        'distortion_coefficients': [0.1, 0, 0, 0, 0],
    }
    content = {'image_width': 64, 'image_height': 48, 'distortion_model': 'plumb_bob'}
    content |= {name: {'data': data} for name, data in matrices.items()}
    path.write_text(yaml.safe_dump(content))
    stage = source(recorded, 'file', calibration_file=str(path), width=640, height=480)
    stage.process(tick(0.0))
    (info,) = stage.topic['camera_info'].messages
    assert [*info.d] == matrices['distortion_coefficients']
    path.write_text(yaml.safe_dump(content | {'image_width': 65}))
    with pytest.raises(ValueError, match='calibration_file: found images of 64x48; allowed: 65x48'):
        source(recorded, 'file', calibration_file=str(path))


def test_a_live_image_is_stamped_with_its_capture(live, device):
    """Not with the time of the request; the device is set to the calibrated size."""
    stage = live()
    captured = time.monotonic_ns() // 1_000_000 - 20
    device.shoot(3, captured)
    message = stage.process(tick(0.0))
    assert number_in(message) == 3
    expected = captured * 1_000_000 + time.time_ns() - time.monotonic_ns()
    assert abs(stamp_ns(message.header.stamp) - expected) < 5_000_000
    assert (cv2.CAP_PROP_FRAME_WIDTH, 64) in device.asked


def test_a_replacement_of_a_live_camera_continues_with_its_clock(live, device):
    """It repeats no image, even if the driver has kept it."""
    stage = live()
    captured = time.monotonic_ns() // 1_000_000 - 20
    device.shoot(1, captured)
    first = stage.process(tick(0.0))
    state = stage.save_state()
    stage._camera._capture._closing.set()
    device.fail(OSError('ended'))
    stage.cleanup()
    replacement = live()
    replacement.restore_state(state)
    device.shoot(1, captured)
    device.shoot(2, captured + 7)
    second = replacement.process(tick(0.1))
    assert number_in(second) == 2
    assert stamp_ns(second.header.stamp) == stamp_ns(first.header.stamp) + 7_000_000


def test_a_failed_live_camera_gives_no_image_until_it_is_back(live, device):
    stage = live(read_timeout=0.05)
    device.pull_out()
    wait_for(lambda: stage.status.values.get('failed_opens'), 'that it is tried again')
    assert stage.process(tick(0.0)) is None
    assert stage.status.level == 'warn'
    assert 'is not a camera that OpenCV can open' in stage.status.message
    device.plugged = True
    device.shoot(2)
    message = wait_for(lambda: stage.process(tick(0.1)), 'an image')
    assert number_in(message) == 2
    assert stage.status.level == 'ok'


def test_a_camera_may_be_connected_later(live, device):
    device.plugged = False
    with pytest.raises(OSError, match="'0' is not a camera"):
        live()
    stage = live(wait_for_camera=True, read_timeout=0.05)
    assert stage.status.level == 'warn'
    assert stage.process(tick(0.0)) is None
    device.plugged = True
    device.shoot(5)
    message = wait_for(lambda: stage.process(tick(0.1)), 'an image')
    assert number_in(message) == 5


def test_images_are_saved_as_they_pass(recorded, tmp_path):
    stage = source(recorded, 'folder', save_to=str(tmp_path / 'saved'), save_as='png')
    for number in range(3):
        stage.process(tick(number / RATE))
    stage.cleanup()
    files = sorted((tmp_path / 'saved').iterdir())
    assert [number_of(cv2.imread(str(each))) for each in files] == [0, 1, 2]
    assert files[1].name == f'{BEGINNING}_100000000.png'


def test_the_simulated_camera_is_a_function_of_time(ground):
    params = {'path': ground, 'width': 320, 'height': 200}
    first, second = (configured(VideoInput(), params) for _ in range(2))
    first.process(tick(4.0))
    message = first.process(tick(12.3))
    assert (message.width, message.height, message.encoding) == (320, 200, 'bgr8')
    assert message.header.stamp == stamp_at(12.3)
    assert message.data == second.process(tick(12.3)).data
    assert message.data != second.process(tick(12.4)).data


def test_the_simulated_flight_ends(ground):
    stage = configured(VideoInput(), {'path': ground, 'width': 64, 'height': 48, 'duration': 2.0})
    stage.process(tick(2.0))
    with pytest.raises(EndOfStream):
        stage.process(tick(2.1))


def test_an_unknown_camera_is_named():
    with pytest.raises(ParameterError, match=r"camera: found 'webcam'.*'simulated'"):
        VideoInput().bind({'camera': 'webcam'})


BENT = {'distortion': [-0.1, 0.01, 0.0, 0.0, 0.0], 'width': 320, 'height': 200}


@pytest.mark.parametrize(
    ('kind', 'params'),
    [('file', {}), ('device', {}), ('simulated', {}), ('simulated', BENT)],
    ids=['a file', 'a device', 'simulated', 'simulated, with a lens'],
)
def test_an_image_is_written_into_borrowed_memory(recorded, ground, request, kind, params):
    """No one that could write to that memory keeps it."""
    borrowed = []

    def loan(shape, dtype):
        memory = np.zeros(shape, dtype)
        borrowed.append(weakref.ref(memory))
        return memory

    def asked_for(number):
        if kind == 'device':
            request.getfixturevalue('device').shoot(number)
        return tick(number / RATE)

    if kind == 'device':
        stage = request.getfixturevalue('live')(**params)
    else:
        path = ground if kind == 'simulated' else recorded[kind]
        given = {'camera': kind, 'path': path, **CALIBRATED, **params}
        stage = configured(VideoInput(), given)
    expected = stage.process(asked_for(0))
    stage.loan = loan
    for number in (1, 2, 3):
        message = stage.process(asked_for(number))
        memory = next(each() for each in borrowed if each() is not None and is_in(each(), message))
        assert message.data != expected.data
        del memory, message
        wait_for(lambda: sum(each() is not None for each in borrowed) <= 1, 'that nobody has it')


def is_in(memory, message):
    """Return whether a message's bytes are these."""
    return np.shares_memory(memory, np.frombuffer(message.data, np.uint8))
