# SPDX-License-Identifier: Apache-2.0
"""Which layout outputs have: by metadata, else by what their shapes make certain."""

from __future__ import annotations

import pytest

from worker_pipeline.airside.detectors.model_metadata import read_metadata
from worker_pipeline.airside.detectors.output_layout import Known, Output, form_of

SIZE = (640, 640)
PROTOTYPES = Output('output1', (1, 32, 160, 160))


def entries(task='detect', head='Detect', classes=80, *, end=False, **others):
    """Return the metadata of Ultralytics' exporter."""
    names = {number: str(number) for number in range(classes)}
    values = {'task': task, 'head': head, 'names': names, 'end2end': end, 'stride': 32, **others}
    return {key: str(value) for key, value in values.items() if value is not None}


def form(shape, written=None, *more, **known):
    metadata = read_metadata(written or {})
    known = {'input_size': SIZE, 'classes': len(metadata.names) or None, **known}
    return form_of([Output('output0', shape), *more], Known(metadata=metadata, **known))


@pytest.mark.parametrize(
    ('shape', 'written', 'more', 'layout', 'task'),
    [
        ((1, 84, 8400), entries(), [], 'v8', 'detect'),
        ((1, 5, 8400), entries(classes=1), [], 'v8', 'detect'),
        ((1, 6, 8400), entries(classes=2), [], 'v8', 'detect'),
        ((1, 6, 8400), entries('obb', 'OBB', 1), [], 'v8', 'obb'),
        ((1, 7, 8400), entries('obb', 'OBB', 2), [], 'v8', 'obb'),
        ((1, 300, 7), entries('obb', 'OBB26', 2, end=True), [], 'end_to_end', 'obb'),
        ((1, 7, 8400), entries('pose', 'Pose', 1, kpt_shape=[1, 2]), [], 'v8', 'pose'),
        ((1, 300, 57), entries('pose', 'Pose', 1, end=True, kpt_shape=[17, 3]), [], 'end_to_end',
         'pose'),
        ((1, 69, 8400), entries('segment', 'Segment', 33), [PROTOTYPES], 'v8', 'segment'),
        ((1, 300, 38), entries('segment', 'Segment26', end=True), [PROTOTYPES], 'end_to_end',
         'segment'),
        ((1, 300, 6), entries(end=True), [], 'end_to_end', 'detect'),
        ((1, 300, 6), entries(args={'nms': True}), [], 'end_to_end', 'detect'),
        ((1, 300, 6), entries(head='RTDETRDecoder'), [], 'rtdetr', 'detect'),
        ((1, 300, 6), entries(head='RTDETRDecoder', classes=2), [], 'rtdetr', 'detect'),
        # Earlier exporters: no head, no end2end; RT-DETR with all scores.
        ((1, 84, 8400), entries(head=None, end=None), [], 'v8', 'detect'),
        ((1, 300, 6), entries(head=None, end=None), [], 'end_to_end', 'detect'),
        ((1, 300, 6), entries(head=None, end=None, args={'nms': False}), [], 'end_to_end',
         'detect'),
        ((1, 84, 8400), entries(head=None, end=None, args={'nms': False}), [], 'v8', 'detect'),
        ((1, 300, 84), entries(head=None, end=None, description='Ultralytics rt-detr-l'), [],
         'rtdetr_scores', 'detect'),
        ((1, 300, 6), entries(head=None, classes=2, description='rtdetr-l'), [], 'rtdetr_scores',
         'detect'),
        # The YOLOv5 package: names and stride only.
        ((1, 25200, 85), entries(None, None, end=None), [], 'v5', 'detect'),
        ((1, 25200, 6), entries(None, None, 1, end=None), [], 'v5', 'detect'),
        ((1, 25200, 39), entries(None, None, 2, end=None), [PROTOTYPES], 'v5', 'segment'),
        # No metadata: three anchors in each cell.
        ((1, 25200, 85), {}, [], 'v5', 'detect'),
        ((1, 25200, 6), {}, [], 'v5', 'detect'),
    ],
)  # fmt: skip
def test_a_layout_is_known_by_metadata_or_a_certain_shape(shape, written, more, layout, task):
    found = form(shape, written, *more)
    assert (found.layout, found.task) == (layout, task)


@pytest.mark.parametrize(
    ('shape', 'named'),
    [
        ((1, 6, 8400), ['v8 (detect of 2 classes)', 'v8 (obb of 1 class)']),
        ((1, 84, 8400), ['v8 (detect of 80 classes)', 'v8 (obb of 79 classes)']),
        ((1, 300, 6), ['end_to_end', 'rtdetr']),
        ((1, 8400, 85), ['yolox (detect of 80 classes)', 'yolox_decoded']),
    ],
)
def test_an_ambiguous_shape_without_metadata_is_refused_with_the_candidates(shape, named):
    with pytest.raises(ValueError, match='does not say; set onnx_layout') as raised:
        form(shape)
    assert all(each in str(raised.value) for each in named)


@pytest.mark.parametrize(
    ('shape', 'known', 'layout', 'task'),
    [
        ((1, 84, 8400), {'layout': 'v8'}, 'v8', 'detect'),
        ((1, 84, 8400), {'classes': 80}, 'v8', 'detect'),
        ((1, 84, 8400), {'classes': 79}, 'v8', 'obb'),
        ((1, 84, 8400), {'layout': 'v8', 'task': 'obb'}, 'v8', 'obb'),
        ((1, 300, 6), {'layout': 'end_to_end'}, 'end_to_end', 'detect'),
        ((1, 300, 6), {'layout': 'rtdetr'}, 'rtdetr', 'detect'),
        ((1, 8400, 85), {'layout': 'yolox'}, 'yolox', 'detect'),
        ((1, 8400, 85), {'layout': 'v5'}, 'v5', 'detect'),  # v6: one candidate per cell
    ],
)
def test_what_is_configured_decides_without_metadata(shape, known, layout, task):
    found = form(shape, **known)
    assert (found.layout, found.task) == (layout, task)


@pytest.mark.parametrize('task', ['classify', 'semantic', 'depth'])
def test_another_task_is_refused_by_name(task):
    with pytest.raises(ValueError, match=rf"task: found '{task}' \(Head\); allowed: detect, seg"):
        form((1, 84, 8400), entries(task, 'Head'))


@pytest.mark.parametrize(
    ('shape', 'known', 'message'),
    [
        ((1, 84, 8400), {'layout': 'v5'}, 'allowed: v5 .detect, 80 classes.*fits v8'),
        ((1, 116, 8400), {}, 'by its metadata is detect, Detect, 80 classes'),
        ((1, 84, 8400), {'task': 'obb'}, "onnx_task: found 'obb'; allowed: 'detect'"),
        ((8400, 84), {}, r'found output0 \(8400, 84\)'),
    ],
)
def test_a_contradiction_is_refused_with_what_the_metadata_says(shape, known, message):
    with pytest.raises(ValueError, match=message):
        form(shape, entries(), **known)


@pytest.mark.parametrize(
    ('names', 'classes', 'asked', 'layout', 'count'),
    [
        (('dets', 'labels'), None, '', 'rfdetr', 91),
        (('dets', 'labels'), 90, '', 'rfdetr', 90),
        (('pred_boxes', 'logits'), None, 'detr_softmax', 'detr_softmax', 90),
        (('pred_boxes', 'logits'), None, 'detr_sigmoid', 'detr_sigmoid', 91),
        (('a', 'b'), None, 'detr_sigmoid', 'detr_sigmoid', 91),
    ],
)
def test_boxes_and_logits_are_told_apart(names, classes, asked, layout, count):
    outputs = [Output(names[1], (1, 300, 91)), Output(names[0], (1, 300, 4))]
    found = form_of(outputs, Known((192, 192), classes=classes, layout=asked))
    assert (found.layout, found.classes, found.table, found.second) == (layout, count, 1, 0)


def test_boxes_and_logits_of_unknown_kind_are_refused():
    outputs = [Output('logits', (1, 300, 91)), Output('pred_boxes', (1, 300, 4))]
    with pytest.raises(ValueError, match=r'may be detr_sigmoid.*detr_softmax'):
        form_of(outputs, Known((192, 192)))


@pytest.mark.parametrize(
    ('written', 'size'),
    [('[160, 256]', (256, 160)), ('640', (640, 640)), ('[]', None), ('[1', None), ('[0, 4]', None)],
)
def test_the_size_is_read_from_height_and_width(written, size):
    assert read_metadata({'imgsz': written}).size == size


def test_broken_metadata_counts_as_missing():
    # With a gap, the names would be those of other classes.
    assert read_metadata({'names': "{0: 'a', 2: 'b'}"}).names == ()
    assert read_metadata({'names': "{'1': 'b', '0': 'a'}"}).names == ('a', 'b')
    read = read_metadata({'names': '{"a": 1, 2: 3}', 'stride': '-3', 'args': 'x', 'end2end': '?'})
    assert read == read_metadata({})
