"""Finds what a model of the YOLO family was trained to find, by onnxruntime.

onnxruntime is imported only where this detector is used: it need not be there otherwise.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from worker_pipeline.airside.detectors.detector import Detector
from worker_pipeline.airside.detectors.letterbox import Letterbox
from worker_pipeline.airside.detectors.suppression import most_confident
from worker_pipeline.airside.detectors.yolo_output import (
    END_TO_END,
    LAYOUTS,
    V5,
    V8,
    Candidates,
    candidates,
    layout_of,
)
from worker_pipeline.airside.image import Pixels
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.records import DETECTION
from worker_pipeline.parameter import Parameter

PARAMETERS: Mapping[str, Parameter] = {
    'onnx_model': Parameter('', "the model's file (.onnx)"),
    'onnx_layout': Parameter(
        'auto', "of the model's output; auto: by its shape", choices=('auto', *LAYOUTS)
    ),
    'onnx_classes': Parameter(
        [''], "the classes' names, in order; one empty name: those in the model, if any"
    ),
    'onnx_first_label': Parameter(
        0, 'label of the first class; the others count on from it', minimum=0, maximum=1_000_000
    ),
    'onnx_overlap': Parameter(
        0.45, 'of two boxes of a class, intersection over union, that both count', '', 0.0, 1.0
    ),
    'onnx_input_size': Parameter(
        [640, 640], "width and height of the model's input, where it leaves that open", 'pixel', 16
    ),
    'onnx_providers': Parameter(
        ['CUDAExecutionProvider', 'CPUExecutionProvider'],
        "onnxruntime's execution providers, best first; those that are not there are left out",
    ),
    'onnx_threads': Parameter(1, 'of the processor', minimum=1, maximum=256),
}

_TYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(uint8)': np.uint8}
# More of them than these, the most confident, are no find but a model that has gone wrong.
_MOST_CANDIDATES = 1000
# Where a model tells of its classes neither names nor number.
_MOST_CLASSES = 1000
_FATAL_ONLY = 4  # what onnxruntime logs itself; what goes wrong it also raises


class OnnxDetector(Detector):
    """Letterbox, model, decoding, non-maximum suppression by class; labels are the classes'.

    ValueError or FileNotFoundError where the model is not there, is none, or does not answer as
    the layouts do; ImportError where onnxruntime is not there.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._session = _session(params)
        self._input = self._only_input()
        self._type = _TYPES[self._input.type]
        self._size = self._input_size(params)
        self._confidence = float(params['confidence'])
        self._overlap = float(params['onnx_overlap'])
        self._first_label = int(params['onnx_first_label'])
        classes = self._classes(params)
        asked = params['onnx_layout'].replace('auto', '')
        blank = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        # Also has the model do all it does but once, before the first image waits for it.
        shape = self._run(blank).shape
        try:
            self._layout = layout_of(shape, self._size, len(classes) or None, asked)
        except ValueError as error:
            raise ValueError(f'onnx_model: {params["onnx_model"]}: {error}') from None
        counts = {V5: shape[2] - 5, V8: shape[1] - 4, END_TO_END: _MOST_CLASSES}
        count = len(classes) or counts[self._layout]
        self.labels = range(self._first_label, self._first_label + count)
        self.names = dict(zip(self.labels, classes, strict=False))
        self.facts = {
            'onnx_model': Path(params['onnx_model']).name,
            'onnx_provider': self._session.get_providers()[0],
            'onnx_layout': self._layout,
            'onnx_input': '{}x{}'.format(*self._size),
            'onnx_classes': ', '.join(classes) or 'without names',
        }

    def detect(self, pixels: Pixels) -> Records:
        """What the model finds in an image, one record each, the most confident first."""
        height, width = pixels.shape[:2]
        letterbox = Letterbox((width, height), self._size)
        output = self._run(letterbox.put(pixels))[0]
        found = self._without_doubles(candidates(output, self._layout, self._confidence))
        boxes = letterbox.to_image(found.boxes)
        # What is in the grey frame alone is not in the image.
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        detections = np.zeros(int(inside.sum()), DETECTION)
        for name, values in zip(('x1', 'y1', 'x2', 'y2'), boxes[inside].T, strict=True):
            detections[name] = values
        detections['u'] = (detections['x1'] + detections['x2']) / 2
        detections['v'] = (detections['y1'] + detections['y2']) / 2
        detections['label'] = self._first_label + found.classes[inside]
        detections['confidence'] = found.confidences[inside]
        return detections

    def _run(self, framed: Pixels) -> Any:
        """The model's one output that is a table, for its input (H, W, 3), BGR."""
        if self._type == np.uint8:
            tensor = np.ascontiguousarray(framed[:, :, ::-1].transpose(2, 0, 1))[None]
        else:
            blob = cv2.dnn.blobFromImage(framed, 1 / 255, swapRB=True)
            tensor = np.asarray(blob, self._type)
        outputs = self._session.run(None, {self._input.name: tensor})
        tables = [each for each in outputs if np.ndim(each) == 3]
        if len(tables) != 1:
            shapes = [np.shape(each) for each in outputs]
            raise ValueError(f'onnx_model: found outputs {shapes}; allowed: one of 3 dimensions')
        return tables[0]

    def _without_doubles(self, found: Candidates) -> Candidates:
        if len(found.confidences) > _MOST_CANDIDATES:
            found = found.of(np.argsort(-found.confidences, kind='stable')[:_MOST_CANDIDATES])
        if self._layout == END_TO_END:
            return found  # the model has done so itself
        return found.of(
            most_confident(found.boxes, found.confidences, found.classes, self._overlap)
        )

    def _only_input(self) -> Any:
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if len(inputs) == 1 else []
        if len(shape) != 4 or not (_may_be(shape[0], 1) and _may_be(shape[1], 3)):
            found = ', '.join(f'{each.name} {each.shape}' for each in inputs)
            raise ValueError(f'onnx_model: found inputs {found}; allowed: one, [1, 3, H, W]')
        if inputs[0].type not in _TYPES:
            allowed = ', '.join(_TYPES)
            raise ValueError(f'onnx_model: found input {inputs[0].type}; allowed: {allowed}')
        return inputs[0]

    def _input_size(self, params: Mapping[str, Any]) -> tuple[int, int]:
        """Width and height of the model's input."""
        asked = list(params['onnx_input_size'])
        if len(asked) != 2:
            raise ValueError(f'onnx_input_size: found {asked}; allowed: two, width and height')
        rows, columns = self._input.shape[2:]
        width = columns if isinstance(columns, int) else asked[0]
        height = rows if isinstance(rows, int) else asked[1]
        return width, height

    def _classes(self, params: Mapping[str, Any]) -> list[str]:
        """The names of the classes: those asked for, else the model's; none where none are known.

        Models of the YOLO family have them in their metadata, as Python or JSON writes them.
        """
        asked = [name for name in params['onnx_classes'] if name]
        written = self._session.get_modelmeta().custom_metadata_map.get('names', '')
        if asked or not written:
            return asked
        try:
            names = ast.literal_eval(written)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return []
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names, key=int)]
        return [str(name) for name in names] if isinstance(names, list) else []


def _may_be(dimension: Any, size: int) -> bool:
    """Whether a dimension is this long, or is left open: then it has a name, or nothing."""
    return dimension == size or not isinstance(dimension, int)


def _session(params: Mapping[str, Any]) -> Any:
    """The model, loaded by the best of the providers asked for that work."""
    path = Path(params['onnx_model']).expanduser()
    if not path.is_file():
        found = str(params['onnx_model'])
        raise FileNotFoundError(f"onnx_model: found {found!r}, no file; allowed: a model's file")
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"detector: found 'onnx', which needs onnxruntime ({error}); install it by pip, or"
            ' choose another'
        ) from error
    asked = list(params['onnx_providers'])
    there = onnxruntime.get_available_providers()
    providers = [name for name in asked if name in there]
    if not providers:
        raise ValueError(f'onnx_providers: found {asked}; allowed here: some of {there}')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = params['onnx_threads']
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # A thread that waits for work by spinning takes the processor from the other workers.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own have no class in common
        raise ValueError(
            f'onnx_model: found {str(path)!r}, which onnxruntime does not take: {error}'
        ) from error
    _check_provider(session.get_providers(), providers)
    return session


def _check_provider(used: Sequence[str], asked: Sequence[str]) -> None:
    """ValueError where none that was asked for works: onnxruntime then takes the processor."""
    if used[0] not in asked:
        raise ValueError(f'onnx_providers: found {list(asked)}, and only {list(used)} work')
