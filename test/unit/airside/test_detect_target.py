# SPDX-License-Identifier: Apache-2.0
"""Detection of targets in an image."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from flown import CAMERA, MOUNTED, configured, reference_renderer
from support.encoded_images import ALL, COLOURS, compressed_image, image_of

from worker_pipeline import ParameterError
from worker_pipeline.airside.detect_target import DetectTarget, DetectTargetCompressed
from worker_pipeline.airside.geometry.pinhole import CameraPose
from worker_pipeline.airside.messages import image, point_cloud
from worker_pipeline.airside.messages.records import NO_LABEL
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.pads import REFERENCE_PADS

EDGE = 40  # pixels: nearer to the edge a pad may be clipped


def in_view(time):
    """Return the image at a time of the flight, and the positions of the pads surely in view."""
    pose = CameraPose.from_body(SimulatedFlight().state(time).pose, MOUNTED)
    places = pose.project_points(CAMERA, [[pad.east, pad.north, 0.0] for pad in REFERENCE_PADS])
    inside = (places > EDGE) & (places < [CAMERA.width - EDGE, CAMERA.height - EDGE])
    seen = [
        (pad.label, place)
        for pad, place, within in zip(REFERENCE_PADS, places, inside.all(axis=1), strict=True)
        if within
    ]
    return image.to_message(reference_renderer().render(pose), 'camera'), seen


def detections(stage, message):
    return point_cloud.from_message(stage.process(message))


@pytest.mark.slow
def test_every_pad_is_detected_at_its_position_and_nothing_else():
    stage = configured(DetectTarget())
    times = np.arange(0.5, 60.0, 1.5)
    sightings = 0
    for time in times:
        message, expected = in_view(time)
        found = detections(stage, message)
        for label, place in expected:
            offsets = [
                np.hypot(each['u'] - place[0], each['v'] - place[1])
                for each in found
                if each['label'] == label
            ]
            assert min(offsets) < 0.8, f'label {label} at {time} s'
            sightings += 1
        assert {each['label'] for each in found} <= {pad.label for pad in REFERENCE_PADS}
    assert sightings >= 12


@pytest.mark.slow
def test_a_box_contains_its_pad():
    message, expected = in_view(next(t for t in np.arange(0, 60, 0.5) if in_view(t)[1]))
    found = detections(configured(DetectTarget()), message)
    label, place = expected[0]
    box = next(each for each in found if each['label'] == label)
    assert box['x1'] < place[0] < box['x2']
    assert box['y1'] < place[1] < box['y2']
    assert 25 < box['x2'] - box['x1'] < 60


@pytest.mark.parametrize('detector', ['aruco', 'contour', 'brightspot'])
def test_an_image_without_a_pad_gives_an_empty_cloud(detector):
    blank = image.to_message(np.full((120, 160, 3), 90, np.uint8), 'camera')
    answer = configured(DetectTarget(), {'detector': [detector]}).process(blank)
    assert answer.width == 0
    assert answer.header.frame_id == 'camera'


@pytest.mark.slow
def test_each_detector_detects_its_own_kind():
    kinds = {'aruco': set(), 'contour': set()}
    for detector, labels in kinds.items():
        stage = configured(DetectTarget(), {'detector': [detector]})
        for time in np.arange(0.5, 60.0, 1.5):
            labels.update(int(label) for label in detections(stage, in_view(time)[0])['label'])
    assert kinds['contour'] == {NO_LABEL}
    assert NO_LABEL not in kinds['aruco']
    assert len(kinds['aruco']) >= 4


def disc(radius, colour=(20, 105, 245), squeeze=1.0):
    v, u = np.mgrid[0:240, 0:320]
    inside = ((u - 150.25) / squeeze) ** 2 + (v - 99.75) ** 2 <= radius**2
    pixels = np.full((240, 320, 3), (80, 130, 100), np.uint8)
    pixels[inside] = colour
    return image.to_message(pixels, '')


def test_a_disc_is_located_to_a_fraction_of_a_pixel():
    (found,) = detections(configured(DetectTarget(), {'detector': ['contour']}), disc(24))
    assert found['u'] == pytest.approx(150.25, abs=0.3)
    assert found['v'] == pytest.approx(99.75, abs=0.3)
    assert found['x2'] - found['x1'] == pytest.approx(48, abs=3)
    assert found['confidence'] > 0.9


@pytest.mark.parametrize(
    'message',
    [disc(5), disc(24, squeeze=3.0), disc(24, colour=(85, 135, 105))],
    ids=['too small', 'not round', 'hardly another colour'],
)
def test_other_shapes_are_not_detected_as_discs(message):
    assert len(detections(configured(DetectTarget(), {'detector': ['contour']}), message)) == 0


def test_detections_below_the_confidence_are_left_out():
    picky = configured(DetectTarget(), {'detector': ['contour'], 'confidence': 1.0})
    assert len(detections(picky, disc(24, squeeze=1.2))) == 0


def test_an_unknown_detector_is_named():
    with pytest.raises(ValueError, match=r"found \['arucoo'\].*did you mean 'aruco'"):
        configured(DetectTarget(), {'detector': ['arucoo']})


def test_an_invalid_parameter_is_named():
    with pytest.raises(ParameterError, match='confidence'):
        DetectTarget().bind({'confidence': 1.5})
    with pytest.raises(ValueError, match=r'aruco_dictionary: found .*DICT_9X9.*DICT_4X4_50'):
        configured(DetectTarget(), {'aruco_dictionary': 'DICT_9X9'})
    with pytest.raises(ValueError, match='contour_max_diameter'):
        configured(DetectTarget(), {'contour_max_diameter': 10.0})


@pytest.mark.slow
def test_the_image_is_not_changed():
    message, _ = in_view(20.0)
    before = message.data[:]
    configured(DetectTarget()).process(message)
    assert message.data == before


def broken_disc():
    """Return an image that lacks a byte."""
    broken = disc(24)
    broken.header.frame_id = 'camera'
    broken._data = broken.data[:-1]
    return broken


def test_an_unreadable_image_is_said_not_to_be_searched_and_the_next_one_is():
    stage = configured(DetectTarget(), {'width': 320, 'height': 240})
    answer = stage.process(broken_disc())
    assert (answer.width, answer.header.frame_id) == (0, 'camera')
    assert not point_cloud.is_searched(answer)
    assert stage.status.values == {'unreadable_images': '1'}
    assert stage.status.level == 'warn'
    assert 'image not searched: image: found' in stage.status.message
    good = stage.process(disc(24))
    assert point_cloud.is_searched(good)
    assert len(point_cloud.from_message(good)) == 1
    assert stage.status.level == 'ok'
    assert stage.status.values == {'unreadable_images': '1'}


def test_nothing_found_differs_from_not_searched():
    stage = configured(DetectTarget())
    assert point_cloud.is_searched(stage.process(image.to_message(np.zeros((90, 90, 3), 'u1'), '')))


def test_what_is_unreadable_is_logged_once_for_each_cause(caplog):
    stage = configured(DetectTarget(), {'width': 320, 'height': 240})
    unknown = disc(24)
    unknown.encoding = 'jpeg2000'
    for _ in range(5):
        stage.process(broken_disc())
        stage.process(unknown)
    texts = [each.message for each in caplog.records if each.levelname == 'WARNING']
    assert len(texts) == 2
    assert 'images are not searched: image: found 230399 bytes' in texts[0]
    assert "images are not searched: encoding: found 'jpeg2000'" in texts[1]
    assert stage.status.values['unreadable_images'] == '10'


@pytest.mark.parametrize('name', COLOURS)
def test_a_disc_is_found_in_every_encoding_as_in_bgr8(name):
    stage = configured(DetectTarget(), {'detector': ['contour'], 'width': 320, 'height': 240})
    rgb = image.from_message(disc(24), 'rgb8')
    (expected,) = detections(stage, disc(24))
    (found,) = detections(stage, image_of(name, rgb, padding=8))
    # The detector looks at every second pixel, and YUV has a colour for two or four.
    for field, tolerance in (('u', 0.8), ('v', 0.8), ('x1', 2), ('x2', 2), ('y1', 2), ('y2', 2)):
        assert found[field] == pytest.approx(expected[field], abs=tolerance), field
    assert stage.status.level == 'ok'


@pytest.mark.parametrize('name', ALL)
def test_a_marker_is_found_in_every_encoding_as_in_bgr8(name):
    stage = configured(DetectTarget(), {'detector': ['aruco'], 'width': 320, 'height': 240})
    rgb = marker()
    (expected,) = detections(stage, image_of('bgr8', rgb))
    (found,) = detections(stage, image_of(name, rgb))
    assert found['label'] == expected['label'] == 23
    assert [found['u'], found['v']] == pytest.approx([expected['u'], expected['v']], abs=0.3)


def marker(number=23, levels=(40, 210)):
    """Return pixels (240, 320, 3) with a marker on bright ground."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    grey = np.full((240, 320), 255, np.uint8)
    grey[60:160, 100:200] = cv2.aruco.generateImageMarker(dictionary, number, 100)
    return np.stack([np.interp(grey, [0, 255], levels).astype(np.uint8)] * 3, -1)


@pytest.mark.parametrize('limits', [(0, 4095), (7600, 8400), (27000, 30000)])
def test_a_marker_is_found_in_a_thermal_image(limits):
    """Twelve bits of sixteen, or a narrow range of them."""
    grey = marker(levels=(0, 255))[..., 0] / 255
    words = (limits[0] + grey * (limits[1] - limits[0])).astype(np.uint16)
    stage = configured(DetectTarget(), {'detector': ['aruco']})
    (found,) = detections(stage, image.to_message(words, 'camera', 'mono16'))
    assert found['label'] == 23


def test_a_range_may_be_given():
    grey = marker(levels=(100, 120))[..., 0].astype(np.uint16)
    params = {'detector': ['aruco'], 'value_range': [1000.0, 9000.0]}
    message = image.to_message(grey, 'camera', 'mono16')
    assert len(detections(configured(DetectTarget(), params), message)) == 0  # all is black
    params['value_range'] = [100.0, 120.0]
    assert len(detections(configured(DetectTarget(), params), message)) == 1


def test_a_detector_that_needs_colours_says_that_there_are_none(caplog):
    stage = configured(DetectTarget(), {'width': 320, 'height': 240})
    message = image_of('mono16', marker())
    for _ in range(3):
        assert len(detections(stage, message)) == 1
    assert stage.status.values['without_colour'] == '3'
    assert stage.status.message == 'image: has no colours; contour finds nothing in it'
    assert [each.message for each in caplog.records].count(stage.status.message) == 1
    stage.process(disc(24))
    assert stage.status.level == 'ok'


def test_the_encoding_may_be_given_where_messages_have_a_wrong_one():
    message = image_of('i420', marker())
    message.encoding = 'something'
    stage = configured(DetectTarget(), {'detector': ['aruco'], 'image_encoding': 'i420'})
    assert len(detections(stage, message)) == 1
    with pytest.raises(ValueError, match="image_encoding: encoding: found 'i421'; allowed: mono8"):
        configured(DetectTarget(), {'image_encoding': 'i421'})
    with pytest.raises(ValueError, match='value_range: found '):
        configured(DetectTarget(), {'value_range': [5.0, 1.0]})
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match='value_range: found '):
            configured(DetectTarget(), {'value_range': [0.0, value]})


@pytest.mark.parametrize(
    ('text', 'kind'),
    [
        ('rgb8; jpeg compressed bgr8', '.jpg'),
        ('bgr8; png compressed bgr8', '.png'),
        ('jpeg', '.jpg'),
    ],
)
def test_compressed_images_are_searched_as_others(text, kind):
    params = {'detector': ['aruco', 'contour'], 'width': 320, 'height': 240}
    stage = configured(DetectTargetCompressed(), params)
    pixels = image.from_message(disc(24))
    message = compressed_image(text, cv2.imencode(kind, pixels)[1].tobytes())
    message.header.frame_id = 'camera'
    (expected,) = detections(configured(DetectTarget(), params), disc(24))
    answer = stage.process(message)
    (found,) = point_cloud.from_message(answer)
    assert [found['u'], found['v']] == pytest.approx([expected['u'], expected['v']], abs=0.5)
    assert (answer.header.frame_id, stage.status.level) == ('camera', 'ok')
    refused = stage.process(compressed_image('16UC1; compressedDepth png', bytes(30)))
    assert not point_cloud.is_searched(refused)
    assert 'a depth image' in stage.status.message


def test_an_image_of_uncalibrated_size_is_searched_with_a_warning():
    stage = configured(DetectTarget())
    assert len(detections(stage, disc(24))) == 1
    assert stage.status.values['of_another_size'] == '1'
    assert stage.status.level == 'warn'
    assert 'found 320x240 pixels; calibrated: 1920x1200' in stage.status.message


def test_the_annotated_picture_is_published_only_for_subscribers():
    stage = configured(DetectTarget(), {'annotated_scale': 0.25})
    message = disc(24)
    message.header.stamp.sec = 5
    message.header.frame_id = 'camera'
    stage.topic['annotated'].has_subscribers = False
    stage.process(message)
    assert not stage.topic['annotated'].messages
    stage.topic['annotated'].has_subscribers = True
    stage.process(message)
    (picture,) = stage.topic['annotated'].messages
    assert (picture.width, picture.height) == (80, 60)
    assert picture.header == message.header
    plain = image.from_message(message)[::4, ::4]
    assert (image.from_message(picture) != plain).any(axis=2).sum() > 30


def test_detectors_with_overlapping_labels_are_rejected(tmp_path):
    pytest.importorskip('onnxruntime')
    models = pytest.importorskip('support.onnx_models')
    path = models.save(tmp_path / 'm.onnx', 'v8', [models.row('v8', 0.0, 0, 3)] * 20)
    params = {'detector': ['aruco', 'onnx'], 'onnx_model': path, 'onnx_layout': 'v8'}
    with pytest.raises(ValueError, match=r'aruco with labels 0 to 49.*onnx.* 0 to 2.*allowed'):
        configured(DetectTarget(), params)
    both = configured(DetectTarget(), {**params, 'onnx_first_label': 50})
    assert both.status.values['onnx_provider'] == 'CPUExecutionProvider'
    assert both.status.values['onnx_layout'] == 'v8'


@pytest.mark.slow
def test_onnxruntime_is_not_imported_without_a_model():
    code = (
        'import sys; from worker_pipeline.airside.detect_target import DetectTarget;'
        'stage = DetectTarget(); stage.bind(); stage.configure();'
        "sys.exit('onnxruntime' in sys.modules)"
    )
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


@pytest.mark.parametrize('detector', ['aruco', 'contour', 'brightspot'])
@pytest.mark.parametrize('size', [(1, 50), (50, 1), (3, 3), (1, 2000), (4, 4), (5, 300)])
def test_no_image_is_too_small_for_an_answer(detector, size):
    stage = configured(DetectTarget(), {'detector': [detector]})
    for level in (0, 255):
        pixels = np.full((*size, 3), level, np.uint8)
        pixels[: size[0] // 2 + 1, ::5] = 255
        message = stage.process(image.to_message(pixels, 'camera'))
        assert point_cloud.is_searched(message) == (min(size) >= 4)
