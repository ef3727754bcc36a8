# SPDX-License-Identifier: Apache-2.0
"""Tiny models with the outputs of the YOLO family.

Each finds the centre of the bright red in its input, and puts a box around it for every row of
a table: so the result for an image is known exactly, and only correct if the image was put into the
input correctly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save_model

BRIGHT = 0.9  # of 1


def row(
    layout: str,
    confidence: float,
    label: int,
    classes: int,
    half: tuple[float, float] = (20, 10),
    off: tuple[float, float] = (0, 0),
) -> list[float]:
    """Return the output for one box: offset of its centre, half its size, class, confidence."""
    if layout == 'end_to_end':
        corners = [off[0] - half[0], off[1] - half[1], off[0] + half[0], off[1] + half[1]]
        return [*corners, confidence, label]
    scores = [confidence if each == label else 0.01 for each in range(classes)]
    box = [*off, 2 * half[0], 2 * half[1]]
    # Certainly an object, of a less certain class.
    return [*box, 1.0, *scores] if layout == 'v5' else [*box, *scores]


def save(
    path: Path,
    layout: str,
    rows: list[list[float]],
    input_shape: Sequence[int | str] = (1, 3, 96, 128),
    kind: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Save a model with these rows as output; the size of a dynamic input is that of its grids."""
    height, width = (side if isinstance(side, int) else 96 for side in input_shape[2:])
    table = np.array(rows, np.float32)[None]
    # The centre is added to the first two columns of a row; for corners, to the first four.
    added = np.zeros((2, table.shape[2]), np.float32)
    added[0, 0] = added[1, 1] = 1.0
    if layout == 'end_to_end':
        added[0, 2] = added[1, 3] = 1.0
    # Such models count pixels from the corner of the first one.
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    constants = {
        'table': table,
        'added': added,
        'bright': np.float32(BRIGHT),
        'little': np.float32(1e-6),
        'u': u.astype(np.float32),
        'v': v.astype(np.float32),
        'one': np.array([1], np.int64),
        'first': np.array([0], np.int64),
    }
    nodes = [
        helper.make_node('Cast', ['images'], ['cast'], to=TensorProto.FLOAT),
        helper.make_node('Gather', ['cast', 'first'], ['red'], axis=1),
        helper.make_node('Sub', ['red', 'bright'], ['above']),
        helper.make_node('Relu', ['above'], ['light']),
        helper.make_node('ReduceSum', ['light'], ['dim'], keepdims=0),
        helper.make_node('Add', ['dim', 'little'], ['all']),
        *(
            node
            for axis in 'uv'
            for node in (
                helper.make_node('Mul', ['light', axis], [f'moment_{axis}']),
                helper.make_node('ReduceSum', [f'moment_{axis}'], [f'sum_{axis}'], keepdims=0),
                helper.make_node('Div', [f'sum_{axis}', 'all'], [f'mean_{axis}']),
                helper.make_node('Reshape', [f'mean_{axis}', 'one'], [f'middle_{axis}']),
            )
        ),
        helper.make_node('Concat', ['middle_u', 'middle_v'], ['middle'], axis=0),
        helper.make_node('MatMul', ['middle', 'added'], ['moved']),
        helper.make_node('Add', ['table', 'moved'], ['rows']),
        helper.make_node('Transpose', ['rows'], ['output0'], perm=[0, 2, 1])
        if layout == 'v8'
        else helper.make_node('Identity', ['rows'], ['output0']),
    ]
    shape = table.shape if layout != 'v8' else (1, *table.shape[:0:-1])
    graph = helper.make_graph(
        nodes,
        'tiny',
        [helper.make_tensor_value_info('images', kind, input_shape)],
        [helper.make_tensor_value_info('output0', TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    if metadata:
        helper.set_model_props(model, dict(metadata))
    checker.check_model(model)
    save_model(model, str(path))
    return str(path)


def exporter_entries(
    layout: str = 'v8', names: Sequence[str] = ('pad', 'tent', 'car'), **others: object
) -> dict[str, str]:
    """Return the metadata that the exporters write for a layout."""
    entries: dict[str, object] = {'names': dict(enumerate(names)), 'stride': 32}
    if layout != 'v5':
        entries.update(task='detect', head='Detect', end2end=layout == 'end_to_end')
    entries.update(others)
    return {key: str(value) for key, value in entries.items()}


def save_tables(
    path: Path,
    tables: Mapping[str, np.ndarray],
    input_shape: Sequence[int | str] = (1, 3, 96, 128),
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Save a model whose outputs are these arrays for every image of the batch."""
    nodes = [
        helper.make_node('Shape', ['images'], ['batch'], start=0, end=1),
    ]
    weights, outputs = [], []
    for name, table in tables.items():
        table = np.asarray(table, np.float32)
        weights.append(numpy_helper.from_array(table[None], f'{name}_table'))
        weights.append(numpy_helper.from_array(np.ones(table.ndim, np.int64), f'{name}_ones'))
        nodes.append(helper.make_node('Concat', ['batch', f'{name}_ones'], [f'{name}_n'], axis=0))
        nodes.append(helper.make_node('Tile', [f'{name}_table', f'{name}_n'], [name]))
        shape = [input_shape[0], *table.shape]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    graph = helper.make_graph(
        nodes,
        'tables',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, input_shape)],
        outputs,
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    checker.check_model(model)
    save_model(model, str(path))
    return str(path)
