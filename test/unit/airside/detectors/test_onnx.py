# SPDX-License-Identifier: Apache-2.0
"""Models of the YOLO family, from an image to boxes in it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from worker_pipeline import ParameterError
from worker_pipeline.airside.detect_target import DetectTarget
from worker_pipeline.airside.detectors.onnx import OnnxDetector

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from onnx import TensorProto
from support.onnx_models import exporter_entries, row, save

LAYOUTS = ('v5', 'v8', 'end_to_end')
CLASSES = 3
# The centre of a red square in an image of 384 x 240: the input of 128 x 96 contains it at a third
# of its size, 128 x 80, eight pixels below its top.
MIDDLE = np.array([203.5, 119.5])


def picture(left=192):
    pixels = np.zeros((240, 384, 3), np.uint8)
    pixels[108:132, left : left + 24] = (0, 0, 255)
    return pixels


def detector(path, **params):
    stage = DetectTarget()
    stage.bind({'detector': ['onnx'], 'onnx_model': path, **params})
    return OnnxDetector(stage.params)


def model(path, layout='v8', rows=None, **kind):
    """Return a model with various rows, most of which must not be reported."""
    if rows is None:
        rows = [
            row(layout, 0.6, 1, CLASSES),
            row(layout, 0.9, 2, CLASSES, half=(5, 5), off=(-30, 0)),
            row(layout, 0.8, 0, CLASSES, off=(2, 1)),
            row(layout, 0.3, 0, CLASSES, off=(40, 0)),
        ]
        if layout != 'end_to_end':  # such a model has done this itself
            rows.append(row(layout, 0.7, 0, CLASSES, off=(1, 1)))
        # For empty places a model has low confidence, in many candidates.
        rows += [row(layout, 0.0, 0, CLASSES)] * (20 - len(rows))
    kind.setdefault('metadata', exporter_entries(layout))
    return save(path / f'{layout}.onnx', layout, rows, **kind)


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize(
    'kind',
    [TensorProto.FLOAT, TensorProto.FLOAT16],
    ids=['single', 'half'],
)
def test_boxes_are_where_the_model_sees_them(tmp_path, layout, kind):
    eye = detector(model(tmp_path, layout, kind=kind))
    found = np.sort(eye.detect(picture()), order='label')
    assert eye.status_values['onnx_layout'] == layout
    np.testing.assert_array_equal(found['label'], [0, 1, 2])
    np.testing.assert_allclose(found['confidence'], [0.8, 0.6, 0.9], atol=1e-6)
    # A pixel of the input is three of the image.
    half = 3 * np.array([[20, 10], [20, 10], [5, 5]])
    middle = MIDDLE + 3 * np.array([[2, 1], [0, 0], [-30, 0]])
    close = {'atol': 0.01 if kind == TensorProto.FLOAT else 0.2}
    np.testing.assert_allclose(np.column_stack([found['u'], found['v']]), middle, **close)
    corners = [np.column_stack([found[f'x{n}'], found[f'y{n}']]) for n in (1, 2)]
    np.testing.assert_allclose(corners, [middle - half, middle + half], **close)


def test_a_dynamic_input_has_the_configured_size(tmp_path):
    path = model(tmp_path, input_shape=('batch', 3, 'height', 'width'))
    eye = detector(path, onnx_input_size=[96, 96])
    assert eye.status_values['onnx_input'] == '96x96'
    found = eye.detect(picture())
    first = found[found['label'] == 1]
    np.testing.assert_allclose([first['u'][0], first['v'][0]], MIDDLE, atol=0.05)
    # Each pixel of the input is now four of the image.
    assert first['x2'][0] - first['x1'][0] == pytest.approx(160, abs=0.01)


def test_an_input_of_bytes_receives_bytes(tmp_path):
    """In bytes the grey border is bright too; its centre is that of the image."""
    eye = detector(model(tmp_path, kind=TensorProto.UINT8))
    found = eye.detect(picture(left=180))
    middle = found[found['label'] == 1]
    np.testing.assert_allclose([middle['u'][0], middle['v'][0]], [191.5, 119.5], atol=0.01)


@pytest.mark.parametrize(
    'names',
    [
        "{0: 'pad', 1: 'tent', 2: 'car'}",
        '["pad", "tent", "car"]',
        '{"0": "pad", "1": "tent", "2": "car"}',
    ],
    ids=['Python', 'JSON list', 'JSON'],
)
def test_the_class_names_are_read_from_the_model(tmp_path, names):
    entries = {**exporter_entries(), 'names': names}
    eye = detector(model(tmp_path, metadata=entries), onnx_first_label=100)
    assert eye.label_names == {100: 'pad', 101: 'tent', 102: 'car'}
    assert eye.status_values['onnx_classes'] == 'pad, tent, car'
    assert set(eye.detect(picture())['label']) == {100, 101, 102}


def test_configured_class_names_override_those_of_the_model(tmp_path):
    path = model(tmp_path, metadata=exporter_entries(names='abc'))
    eye = detector(path, onnx_classes=['pad', 'tent', 'car'])
    assert eye.label_names == {0: 'pad', 1: 'tent', 2: 'car'}
    with pytest.raises(
        ValueError, match=r'v8\.onnx: output: found output0 \(1, 7, 20\).* 2 classes'
    ):
        detector(path, onnx_classes=['pad', 'tent'])


def test_a_detection_outside_the_image_is_dropped(tmp_path):
    """The border around the image comes from letterboxing."""
    rows = [row('v8', 0.9, 0, CLASSES, half=(3, 3), off=(0, -45))] * 20
    rows.append(row('v8', 0.1, 0, CLASSES))
    assert len(detector(model(tmp_path, rows=rows)).detect(picture())) == 0


def test_the_provider_is_reported(tmp_path):
    path = model(tmp_path)
    assert detector(path).status_values['onnx_provider'] == 'CPUExecutionProvider'
    with pytest.raises(ValueError, match=r'onnx_providers: found .*NoSuch.*allowed here: .*CPU'):
        detector(path, onnx_providers=['NoSuchExecutionProvider'])


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"onnx_model: found '', which is not a file"):
        detector('')
    with pytest.raises(
        FileNotFoundError, match=r"onnx_model: found '.*none\.onnx', which is not a file"
    ):
        detector(str(tmp_path / 'none.onnx'))


def test_an_invalid_model_file_is_named(tmp_path):
    path = tmp_path / 'text.onnx'
    path.write_text('not a model')
    with pytest.raises(ValueError, match=r"onnx_model: found '.*text\.onnx', which onnxruntime"):
        detector(str(path))


def test_a_model_with_an_unknown_output_is_named(tmp_path):
    path = save(tmp_path / 'other.onnx', 'end_to_end', [[0.0] * 4] * 20)
    with pytest.raises(ValueError, match=r'other\.onnx: output: found output0 \(1, 20, 4\)'):
        detector(path)


def test_a_model_with_another_input_is_named(tmp_path):
    path = model(tmp_path, input_shape=(1, 1, 96, 128))
    with pytest.raises(ValueError, match=r'found inputs images \[1, 1, 96, 128\]'):
        detector(path)


def test_a_missing_onnxruntime_is_reported(tmp_path, monkeypatch):
    path = model(tmp_path)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match=r"detector: found 'onnx', which needs onnxruntime"):
        detector(path)


def test_an_unknown_layout_is_rejected():
    with pytest.raises(ParameterError, match='onnx_layout'):
        DetectTarget().bind({'onnx_layout': 'v6'})
