# SPDX-License-Identifier: Apache-2.0
"""A detection model: its input, the layout of its output, and its candidates in images."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.detectors.antialiasing import resize_smoothly
from worker_pipeline.airside.detectors.candidates import Candidates, candidates
from worker_pipeline.airside.detectors.letterbox import Letterbox, Placing
from worker_pipeline.airside.detectors.model_input import TYPES, placing_of, tensor_of
from worker_pipeline.airside.detectors.model_metadata import read_metadata
from worker_pipeline.airside.detectors.onnx_session import open_session
from worker_pipeline.airside.detectors.output_layout import (
    DETR_SIGMOID,
    DETR_SOFTMAX,
    LAYOUTS,
    RFDETR,
    SEGMENT,
    TASKS,
    Form,
    Known,
    Output,
    form_of,
)
from worker_pipeline.airside.detectors.plausibility import ImplausibleOutputError, check_plausible
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.parameter import Parameter

PARAMETERS: Mapping[str, Parameter] = {
    'onnx_layout': Parameter(
        'auto',
        "layout of the model's output; auto: by its metadata and shape",
        choices=('auto', *LAYOUTS),
    ),
    'onnx_task': Parameter(
        'auto',
        'what the model was trained for; auto: by its metadata and shape',
        choices=('auto', *TASKS),
    ),
    'onnx_classes': Parameter(
        [''], 'names of the classes, in order; one empty name: those in the model, if any'
    ),
    'onnx_input_size': Parameter(
        [0, 0],
        "width and height of the model's input, if they are dynamic; 0: the model's own, else 640",
        'pixel',
        0,
    ),
}

_USUAL_SIDE = 640  # pixels, of a dynamic input without metadata
_CPU = 'CPUExecutionProvider'
_PROVIDER_DIFFERENCE = 0.1  # of a confidence; half precision stays far below
_COMPARED = 100  # confidences
_MOST_AT_ONCE = 8  # images in one run: more need memory and are not faster


class OnnxModel:
    """A model with what is known of it. ``size``: width and height of its input, pixels.

    ValueError or FileNotFoundError if the model is missing, invalid or not known to be of one
    layout; ImportError if onnxruntime is not installed.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._session = open_session(params)
        self._path = Path(params['onnx_model'])
        self.metadata = read_metadata(self._session.get_modelmeta().custom_metadata_map)
        self._input = self._only_input()
        self._type = TYPES[self._input.type]
        self._takes_several = True
        self.size = self._input_size(params)
        asked = tuple(name for name in params['onnx_classes'] if name)
        self.classes = asked or self.metadata.names
        try:
            self.form = self._form(params)
            self._check()
            if params['onnx_tile'] and not isinstance(self._input.shape[0], int):
                self._takes_several = self._can_take_several()
        except ValueError as error:
            raise ValueError(f'onnx_model: {params["onnx_model"]}: {error}') from None
        self._check_provider(params)

    @property
    def providers(self) -> list[str]:
        """Return the execution providers in use, the first for all that it supports."""
        return list(self._session.get_providers())

    def letterbox(self, image: tuple[int, int]) -> Letterbox:
        """Return how an image (width, height) is put into the input.

        Where the input may be of any size, its border is as narrow as the model's stride allows.
        """
        placing = placing_of(self.form.layout)
        whole = Letterbox(image, self.size, placing)
        if not self._is_elastic or placing is not Placing.CENTRED:
            return whole
        stride = self.metadata.stride or 1
        width, height = (-(-side // stride) * stride for side in whole.scaled)
        return Letterbox(image, (width, height), placing)

    def frame(self, letterbox: Letterbox, pixels: Pixels) -> Pixels:
        """Return the input (H, W, 3), BGR, with an image in it."""
        if self.form.layout in (DETR_SIGMOID, DETR_SOFTMAX):
            return resize_smoothly(pixels, letterbox.input)
        # RF-DETR resizes floats; rounded to bytes, an untrained one differs by hundredths.
        exact = self.form.layout == RFDETR
        return letterbox.put(pixels.astype(np.float32) if exact else pixels)

    def look(self, frames: Sequence[Pixels]) -> list[tuple[Candidates, Any]]:
        """Return the candidates in each input (H, W, 3), BGR, and the prototypes of its masks.

        ImplausibleOutputError if the output is not what its layout says.
        """
        found: list[tuple[Candidates, Any]] = []
        for (height, width), same in itertools.groupby(frames, lambda each: each.shape[:2]):
            for outputs in self._run(list(same)):
                each = candidates(outputs, self.form, (width, height))
                check_plausible(each, (width, height), self.form.classes)
                masks = outputs[self.form.second] if self.form.task == SEGMENT else None  # type: ignore[index]
                if masks is not None and not np.isfinite(masks[:, ::8, ::8]).any():
                    raise ImplausibleOutputError(f'masks: found {masks.flat[0]}; allowed: numbers')
                found.append((each, masks))
        return found

    def _run(self, frames: Sequence[Pixels]) -> list[list[Any]]:
        """Return the outputs for each frame; all frames are of one size."""
        made: list[list[Any]] = []
        for first in range(0, len(frames), self._at_once):
            some = list(frames[first : first + self._at_once])
            count = len(some)
            if isinstance(self._input.shape[0], int):
                some += [np.zeros_like(some[0])] * (self._input.shape[0] - count)
            tensor = tensor_of(some, self.form.layout, self._type)
            outputs = self._session.run(None, {self._input.name: tensor})
            # An output that nothing is read from may have another shape, as a number of detections.
            made += [
                [each[place] if np.shape(each)[:1] == (len(some),) else each for each in outputs]
                for place in range(count)
            ]
        return made

    @property
    def _at_once(self) -> int:
        """Return how many images one run has at most."""
        fixed = self._input.shape[0]
        if isinstance(fixed, int):
            return fixed
        if not self._takes_several:
            return 1
        # A suppression in the file is written for as many images as its metadata says.
        return (self.metadata.batch or 1) if self.metadata.end_to_end else _MOST_AT_ONCE

    def _form(self, params: Mapping[str, Any]) -> Form:
        """Return the layout and task of the outputs, from a first run, which warms up as well."""
        count = self._input.shape[0] if isinstance(self._input.shape[0], int) else 1
        try:
            tensor = np.zeros((count, 3, *self.size[::-1]), self._type)
            outputs = self._session.run(None, {self._input.name: tensor})
        except Exception as error:  # onnxruntime's own exceptions have no common base
            size = '{}x{}'.format(*self.size)
            raise ValueError(f'found no output for an input of {size}: {error}') from error
        shapes = [
            Output(each.name, np.shape(output))
            for each, output in zip(self._session.get_outputs(), outputs, strict=True)
        ]
        known = Known(
            self.size,
            self.metadata,
            len(self.classes) or None,
            params['onnx_layout'].replace('auto', ''),
            params['onnx_task'].replace('auto', ''),
        )
        form = form_of(shapes, known)
        _check_batch(shapes, form, count)
        return form

    def _can_take_several(self) -> bool:
        """Return whether a run with two images works and gives the outputs of both.

        The number of images may be dynamic by its declaration alone.
        """
        tensor = np.zeros((2, 3, *self.size[::-1]), self._type)
        try:
            outputs = self._session.run(None, {self._input.name: tensor})
        except Exception:  # onnxruntime's own exceptions have no common base
            return False
        return all(np.shape(each)[:1] == (2,) for each in outputs)

    def _check(self) -> None:
        """Raise ValueError if the output for an image of noise, or for none, is implausible."""
        noise = self._noise()
        try:
            for each in (np.zeros_like(noise), noise):
                self.look([each])
        except ImplausibleOutputError as error:
            raise ValueError(
                f'output: read as {self.form}, {error}; so it is of another kind: set onnx_layout'
                ' and onnx_task, or choose another model'
            ) from None

    def _noise(self) -> Pixels:
        """Return an input with coarse noise, always the same."""
        coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
        return np.asarray(cv2.resize(coarse, self.size), np.uint8)

    def _check_provider(self, params: Mapping[str, Any]) -> None:
        """Raise ValueError if the provider computes otherwise than onnxruntime's own on the CPU.

        Seen with a quantised model.
        """
        if self.providers[0] == _CPU:
            return
        accelerated, found = self._session, self._confidences()
        self._session = open_session({**params, 'onnx_providers': [_CPU]})
        try:
            wanted = self._confidences()
        finally:
            self._session = accelerated
        difference = float(np.abs(found - wanted).max(initial=0.0))
        if difference > _PROVIDER_DIFFERENCE:
            raise ValueError(
                f'onnx_providers: found {self.providers[0]}, whose confidences differ by'
                f' {difference:.3g} from those of {_CPU}; allowed: by {_PROVIDER_DIFFERENCE:g};'
                ' leave it out'
            )

    def _confidences(self) -> Any:
        """Return the highest confidences in noise, in order."""
        ((found, _),) = self.look([self._noise()])
        return np.sort(np.nan_to_num(found.confidences))[::-1][:_COMPARED]

    def _only_input(self) -> Any:
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if len(inputs) == 1 else []
        if len(shape) != 4 or not _allows(shape[1], 3):
            found = ', '.join(f'{each.name} {each.shape}' for each in inputs)
            raise ValueError(
                f'onnx_model: {self._path}: found inputs {found}; allowed: one, [N, 3, H, W]'
            )
        if inputs[0].type not in TYPES:
            allowed = ', '.join(TYPES)
            raise ValueError(
                f'onnx_model: {self._path}: found input {inputs[0].type}; allowed: {allowed}'
            )
        return inputs[0]

    def _input_size(self, params: Mapping[str, Any]) -> tuple[int, int]:
        """Return width and height of the input: fixed, configured, the metadata's, or usual."""
        asked = list(params['onnx_input_size'])
        if len(asked) != 2:
            raise ValueError(f'onnx_input_size: found {asked}; allowed: two, width and height')
        fixed = self._input.shape[:1:-1]
        own = self.metadata.size or (_USUAL_SIDE, _USUAL_SIDE)
        width, height = (
            side if isinstance(side, int) else wanted or usual
            for side, wanted, usual in zip(fixed, asked, own, strict=True)
        )
        self._is_elastic = (
            not any(isinstance(side, int) for side in fixed)
            and not any(asked)
            and self.metadata.is_elastic
        )
        return width, height


def _check_batch(outputs: Sequence[Output], form: Form, count: int) -> None:
    """Raise ValueError if the outputs that are used are not those of ``count`` images."""
    for place in (form.table, form.second):
        if place is not None and outputs[place].shape[0] != count:
            found = outputs[place]
            raise ValueError(
                f'output: found {found.name} {found.shape} for a batch of {count}; allowed: {count}'
                ' as its first dimension'
            )


def _allows(dimension: Any, size: int) -> bool:
    """Return whether a dimension has this size, or is dynamic (a name or None)."""
    return dimension == size or not isinstance(dimension, int)
