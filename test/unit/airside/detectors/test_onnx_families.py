# SPDX-License-Identifier: Apache-2.0
"""Models of other families and tasks, from an image to detections."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

from worker_pipeline.airside.detect_target import DetectTarget
from worker_pipeline.airside.detectors import onnx_model, onnx_session
from worker_pipeline.airside.detectors.onnx import OnnxDetector
from worker_pipeline.airside.messages import image, point_cloud

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from support.onnx_models import exporter_entries, row, save, save_tables

SIZE = (128, 96)
# An image of 384 x 240 fills 128 x 80 of the input, from eight pixels below its top.
GREY = np.full((240, 384, 3), 60, np.uint8)


def detector(path, **params):
    stage = DetectTarget()
    stage.bind({'detector': ['onnx'], 'onnx_model': path, **params})
    return OnnxDetector(stage.params)


def columns(found, *names):
    return np.column_stack([found[name] for name in names])


def test_the_angle_and_the_sides_of_an_oriented_box_are_in_the_record(tmp_path):
    angle = 0.5
    table = np.zeros((7, 30))
    table[:, 0] = [64, 48, 30, 12, 0.1, 0.9, angle]
    table[:, 1] = [65, 48, 30, 12, 0.1, 0.8, angle]  # the same object
    table[:, 2] = [64, 48, 30, 12, 0.1, 0.7, angle + np.pi / 2]
    entries = exporter_entries(names='ab', task='obb', head='OBB')
    found = detector(save_tables(tmp_path / 'm.onnx', {'output0': table}, metadata=entries)).detect(
        GREY
    )
    assert len(found) == 2
    first = found[:1]
    np.testing.assert_allclose(columns(first, 'u', 'v'), [[191.5, 119.5]], atol=1e-3)
    np.testing.assert_allclose(columns(first, 'size_x', 'size_y'), [[90, 36]], atol=1e-3)
    np.testing.assert_allclose(first['angle'], angle)
    np.testing.assert_array_equal(found['label'], [1, 1])
    width = 90 * np.cos(angle) + 36 * np.sin(angle)
    height = 90 * np.sin(angle) + 36 * np.cos(angle)
    extents = columns(first, 'x2', 'y2') - columns(first, 'x1', 'y1')
    np.testing.assert_allclose(extents, [[width, height]], rtol=1e-5)


@pytest.mark.parametrize(('point', 'v'), [('centre', 3 * 16.0), ('foot', 3 * 24.0)])
def test_a_mask_gives_the_point_that_is_located(tmp_path, point, v):
    prototypes = np.full((2, 24, 32), -1.0)
    # Rows 16 to 32 of the input, of which 8 are border; columns 40 to 56.
    prototypes[0, 4:8, 10:14] = 1.0
    table = np.zeros((4 + 2 + 2, 30))
    table[:, 0] = [60, 40, 60, 60, 0.9, 0.1, 1, 0]
    table[:, 1] = [100, 40, 20, 20, 0.8, 0.1, 1, 0]  # no mask there
    entries = exporter_entries(names='ab', task='segment', head='Segment')
    path = save_tables(
        tmp_path / 'm.onnx', {'output0': table, 'output1': prototypes}, metadata=entries
    )
    found = detector(path, onnx_point=point).detect(GREY)
    assert len(found) == 1
    np.testing.assert_allclose(columns(found, 'u', 'v'), [[3 * 48.0 - 0.5, v - 0.5]], atol=3.0)
    np.testing.assert_allclose(columns(found, 'x1', 'x2'), [[89.5, 269.5]], atol=1e-3)


def test_the_foot_of_a_box_is_the_middle_of_its_lower_side(tmp_path):
    rows = [row('v8', 0.9, 0, 3, half=(10, 5))] + [row('v8', 0.0, 0, 3)] * 20
    path = save(tmp_path / 'm.onnx', 'v8', rows, metadata=exporter_entries())
    pixels = GREY.copy()
    pixels[108:132, 180:204] = (0, 0, 255)
    found = detector(path, onnx_point='foot').detect(pixels)
    np.testing.assert_allclose(found['v'], found['y2'])
    np.testing.assert_allclose(found['u'], (found['x1'] + found['x2']) / 2, atol=1e-4)


def test_keypoints_are_left_out(tmp_path):
    table = np.zeros((4 + 1 + 6, 30))
    table[:, 0] = [64, 48, 30, 12, 0.9, 500, 400, 0.5, 300, 200, 0.5]
    entries = exporter_entries(names='a', task='pose', head='Pose', kpt_shape=[2, 3])
    path = save_tables(tmp_path / 'm.onnx', {'output0': table}, metadata=entries)
    found = detector(path).detect(GREY)
    np.testing.assert_allclose(found['confidence'], [0.9])
    np.testing.assert_allclose(columns(found, 'x1', 'x2'), [[146.5, 236.5]], atol=1e-3)


def test_rtdetr_receives_the_image_stretched_and_gives_shares(tmp_path):
    table = np.zeros((300, 6))
    table[0] = [0.5, 0.25, 0.2, 0.1, 0.9, 2]
    entries = exporter_entries(head='RTDETRDecoder')
    path = save_tables(tmp_path / 'm.onnx', {'output0': table}, metadata=entries)
    found = detector(path).detect(GREY)
    np.testing.assert_allclose(
        columns(found, 'x1', 'y1', 'x2', 'y2') + 0.5,
        [[384 * 0.4, 240 * 0.2, 384 * 0.6, 240 * 0.3]],
        atol=1e-3,
    )
    np.testing.assert_array_equal(found['label'], [2])


def test_yolox_is_read_from_its_cells(tmp_path):
    cells = 16 * 12 + 8 * 6 + 4 * 3
    table = np.zeros((cells, 5 + 2))
    table[0, 4:] = [0.9, 0.1, 1.0]  # the middle of the first cell is at 0, its sides are 8
    table[16 * 2 + 3] = [0.5, 0.5, np.log(3), 0, 0.8, 1.0, 0.1]
    path = save_tables(tmp_path / 'm.onnx', {'output': table})
    with pytest.raises(ValueError, match=r'may be yolox .*yolox_decoded.*set onnx_layout'):
        detector(path)
    found = detector(path, onnx_layout='yolox').detect(GREY)
    # A pixel of the input is three of the image, which begins at the first corner.
    np.testing.assert_allclose(
        columns(found, 'x1', 'y1', 'x2', 'y2') + 0.5,
        [[0, 0, 12, 12], [3 * 16, 3 * 16, 3 * 40, 3 * 24]],
        atol=1e-3,
    )
    np.testing.assert_allclose(found['confidence'], [0.9, 0.8], atol=1e-6)


def test_rfdetr_is_known_by_its_outputs(tmp_path):
    boxes, logits = np.full((300, 4), 0.5), np.full((300, 3), -9.0)
    boxes[1] = [0.5, 0.25, 0.2, 0.1]
    logits[1, 1] = 2.0
    path = save_tables(tmp_path / 'm.onnx', {'dets': boxes, 'labels': logits})
    found = detector(path, onnx_classes=['pad', 'tent']).detect(GREY)
    np.testing.assert_allclose(found['confidence'], [1 / (1 + np.exp(-2.0))], rtol=1e-5)
    np.testing.assert_allclose(columns(found, 'u', 'v') + 0.5, [[192, 60]], atol=1e-3)
    np.testing.assert_array_equal(found['label'], [1])


def test_a_small_object_is_found_in_the_tiles_of_a_large_image(tmp_path):
    """Two red pixels that the reduced image does not have; more than one tile has them."""
    rows = [row('v8', 0.9, 0, 3, half=(4, 4))] + [row('v8', 0.0, 0, 3)] * 20
    path = save(tmp_path / 'm.onnx', 'v8', rows, metadata=exporter_entries())
    pixels = np.zeros((480, 768, 3), np.uint8)
    pixels[300:302, 504:506] = (0, 0, 255)
    assert not len(detector(path).detect(pixels))
    found = detector(path, onnx_tile=96, onnx_tile_overlap=0.5).detect(pixels)
    np.testing.assert_allclose(columns(found, 'u', 'v'), [[504.5, 300.5]], atol=1e-3)
    np.testing.assert_allclose(columns(found, 'x1', 'y2'), [[500.5, 304.5]], atol=1e-3)


@pytest.mark.parametrize(
    ('batch', 'runs'), [('batch', 3), (1, 21), (4, 6)], ids=['dynamic', 'one', 'four']
)
def test_tiles_are_searched_as_many_at_once_as_the_model_allows(tmp_path, batch, runs):
    """20 tiles of 128 x 128 and the whole image; all frames have one size."""
    table = np.zeros((7, 30))
    table[:, 0] = [64, 48, 10, 10, 0.9, 0.1, 0.1]
    path = save_tables(
        tmp_path / 'm.onnx', {'output0': table}, (batch, 3, 96, 128), exporter_entries()
    )
    eye = detector(path, onnx_tile=128, onnx_tile_overlap=0.0)
    session = eye._model._session

    class Counting:
        count = 0

        def run(self, *args):
            self.count += 1
            return session.run(*args)

    eye._model._session = counting = Counting()
    found = eye.detect(np.zeros((512, 640, 3), np.uint8))
    assert len(found) == 21
    assert counting.count == runs


def test_the_models_own_size_is_that_of_a_dynamic_input(tmp_path):
    shape = ('batch', 3, 'height', 'width')
    table = np.zeros((7, 30))
    table[:, 0] = [64, 48, 10, 10, 0.9, 0.1, 0.1]
    entries = exporter_entries(imgsz=[96, 128], args={'dynamic': True})
    path = save_tables(tmp_path / 'm.onnx', {'output0': table}, shape, entries)
    eye = detector(path)
    assert eye.status_values['onnx_input'] == '128x96'
    # Its border is no wider than the stride of 32 requires.
    assert eye._model.letterbox((384, 140)).input == (128, 64)
    fixed = detector(path, onnx_input_size=[128, 96])
    assert fixed._model.letterbox((384, 140)).input == (128, 96)
    early = save_tables(
        tmp_path / 'early.onnx', {'output0': table}, shape, exporter_entries(imgsz=[96, 128])
    )
    assert detector(early)._model.letterbox((384, 140)).input == (128, 96)
    assert detector(path, onnx_input_size=[64, 0]).status_values['onnx_input'] == '64x96'


def test_a_model_read_in_the_wrong_layout_is_refused_at_the_start(tmp_path):
    table = np.zeros((7, 30))
    table[:, 0] = [64, 48, 10, 10, 0.9, 0.1, 320.0]
    path = save_tables(tmp_path / 'm.onnx', {'output0': table})
    with pytest.raises(ValueError, match=r'm\.onnx: output: read as v8 .*confidence: found 320'):
        detector(path, onnx_layout='v8')


@pytest.mark.parametrize('output', ['output0', 'output1'])
def test_a_model_whose_output_is_no_number_is_refused_at_the_start(tmp_path, output):
    table = np.zeros((8, 30))
    table[:, 0] = [64, 48, 10, 10, 0.9, 0.1, 1, 0]
    tables = {'output0': table, 'output1': np.ones((2, 24, 32))}
    tables[output] = tables[output] * np.nan
    entries = exporter_entries(names='ab', task='segment', head='Segment')
    path = save_tables(tmp_path / 'm.onnx', tables, metadata=entries)
    with pytest.raises(ValueError, match=r'm\.onnx: output: .*found nan.*allowed: numbers'):
        detector(path)


def test_an_infinite_confidence_is_no_detection(tmp_path):
    table = np.zeros((7, 30))
    table[:, 0] = [64, 48, 10, 10, np.inf, 0.1, 0.1]
    path = save_tables(tmp_path / 'm.onnx', {'output0': table}, metadata=exporter_entries())
    assert not len(detector(path).detect(GREY))


def test_a_third_output_without_a_batch_is_left_alone(tmp_path):
    import onnx

    boxes, logits = np.full((20, 4), 0.3), np.full((20, 3), -4.0)
    logits[0, 1] = 3.0
    path = save_tables(tmp_path / 'm.onnx', {'dets': boxes, 'labels': logits})
    model = onnx.load(path)
    model.graph.node.append(onnx.helper.make_node('ReduceSum', ['images'], ['sum'], keepdims=0))
    model.graph.output.append(onnx.helper.make_tensor_value_info('sum', 1, ()))
    onnx.save_model(model, path)
    found = detector(path).detect(GREY)
    np.testing.assert_array_equal(found['label'], [1])


@pytest.mark.parametrize('batch', ['n', 4])
def test_a_model_that_answers_for_one_image_of_a_batch(tmp_path, batch):
    rows = [row('v8', 0.9, 0, 3)] + [row('v8', 0.0, 0, 3)] * 20
    # Its input is declared for several images, and its output is of one.
    path = save(tmp_path / 'm.onnx', 'v8', rows, (batch, 3, 96, 128), metadata=exporter_entries())
    pixels = GREY.copy()
    pixels[108:132, 180:204] = (0, 0, 255)
    if batch == 4:
        with pytest.raises(ValueError, match=r'found output0 \(1, 7, 21\) for a batch of 4;'):
            detector(path, onnx_tile=128)
        return
    found = detector(path, onnx_tile=128).detect(pixels)
    assert np.hypot(found['u'] - 191.5, found['v'] - 119.5).min() < 1.0


@pytest.mark.parametrize(
    'entries',
    [{'names': '{[1]: 2}'}, {'stride': '{[1]: 2}'}, {'imgsz': 'True'}, {'args': '{[1]: 2}'}],
)
def test_metadata_that_cannot_be_read_counts_as_missing(tmp_path, entries):
    written = {**exporter_entries(), **entries}
    table = np.full((7, 30), 0.5)
    path = save_tables(tmp_path / 'm.onnx', {'output0': table}, metadata=written)
    with pytest.raises(ValueError, match='shares of the image'):
        detector(path)


def test_an_input_too_large_for_the_memory_is_named(tmp_path):
    shape = (1, 3, 'height', 'width')
    entries = exporter_entries(imgsz=[10**8, 10**8])
    path = save_tables(tmp_path / 'm.onnx', {'output0': np.ones((7, 30))}, shape, entries)
    with pytest.raises(ValueError, match='found no output for an input of 100000000x100000000'):
        detector(path)


def test_tiles_smaller_than_a_models_cells_are_refused(tmp_path):
    path = save_tables(
        tmp_path / 'm.onnx', {'output0': np.zeros((7, 30))}, metadata=exporter_entries()
    )
    with pytest.raises(ValueError, match='onnx_tile: found 1; allowed: 0, or 32 pixels and more'):
        detector(path, onnx_tile=1)


def test_an_implausible_output_in_flight_is_a_warning_and_no_detection(tmp_path):
    rows = [row('v8', 0.9, 0, 3)] + [row('v8', 0.0, 0, 3)] * 20
    path = save(tmp_path / 'm.onnx', 'v8', rows, metadata=exporter_entries())
    stage = DetectTarget()
    stage.bind({'detector': ['onnx'], 'onnx_model': path, 'width': 384, 'height': 240})
    stage.configure()
    model = stage._detectors['onnx']._model
    session, model._session = model._session, mock.Mock()
    tables = session.run(None, {'images': np.zeros((1, 3, 96, 128), np.float32)})
    model._session.run.return_value = [320 * tables[0]]
    message = stage.process(image.to_message(GREY, 'camera'))
    assert message.width == 0
    assert not point_cloud.is_searched(message)
    assert stage.status.values['implausible'] == '1'
    assert 'confidence: found 288' in stage.status.message


@pytest.mark.parametrize(('confidence', 'is_right'), [(0.9, True), (0.87, True), (0.5, False)])
def test_a_provider_that_computes_otherwise_is_refused(tmp_path, monkeypatch, confidence, is_right):
    def made(name, value):
        table = np.zeros((7, 30))
        table[:, 0] = [64, 48, 10, 10, value, 0.1, 0.1]
        path = save_tables(tmp_path / name, {'output0': table}, metadata=exporter_entries())
        return onnx_session.open_session(
            {'onnx_model': path, 'onnx_providers': ['CPUExecutionProvider'], 'onnx_threads': 1}
        )

    plain, inner = made('plain.onnx', 0.9), made('fast.onnx', confidence)
    fast = mock.Mock(wraps=inner)
    fast.get_providers.side_effect = lambda: ['OpenVINOExecutionProvider', 'CPUExecutionProvider']

    def opened(params):
        return plain if params['onnx_providers'] == ['CPUExecutionProvider'] else fast

    monkeypatch.setattr(onnx_model, 'open_session', opened)
    if is_right:
        assert detector('m').status_values['onnx_provider'] == 'OpenVINOExecutionProvider'
        return
    with pytest.raises(ValueError, match=r'onnx_providers: found OpenVINO.*differ by 0\.4.*leave'):
        detector('m')


def test_each_provider_has_its_options(tmp_path):
    path = tmp_path / 'm.onnx'
    options = onnx_session._provider_options('TensorrtExecutionProvider', path, 2)
    assert options == {
        'trt_engine_cache_enable': '1',
        'trt_engine_cache_path': str(tmp_path),
    }
    assert onnx_session._provider_options('OpenVINOExecutionProvider', path, 2) == {
        'num_of_threads': '2'
    }
    assert onnx_session._provider_options('CPUExecutionProvider', path, 2) == {}
