# SPDX-License-Identifier: Apache-2.0
"""A model loaded with onnxruntime, on the best execution provider that is here.

onnxruntime is optional: it is imported only when a model is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worker_pipeline.parameter import Parameter
from worker_pipeline.system.threads import thread_limit

PARAMETERS: Mapping[str, Parameter] = {
    'onnx_model': Parameter('', "the model's file (.onnx)"),
    'onnx_providers': Parameter(
        [
            'TensorrtExecutionProvider',
            'CUDAExecutionProvider',
            'OpenVINOExecutionProvider',
            'CPUExecutionProvider',
        ],
        "onnxruntime's execution providers, best first; unavailable ones are ignored",
    ),
    'onnx_threads': Parameter(
        0, "number of CPU threads; 0: as the stage's threads", minimum=0, maximum=256
    ),
}

_FATAL_ONLY = 4  # log level of onnxruntime; its errors are also raised


def open_session(params: Mapping[str, Any]) -> Any:
    """Return the model, loaded with the best of the configured providers that work.

    ValueError or FileNotFoundError if the model is missing or invalid, or if no provider is here;
    ImportError if onnxruntime is not installed.
    """
    path = Path(params['onnx_model']).expanduser()
    if not path.is_file():
        found = str(params['onnx_model'])
        raise FileNotFoundError(
            f'onnx_model: found {found!r}, which is not a file; allowed: a model file'
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"detector: found 'onnx', which needs onnxruntime ({error}); pip install "
            'onnxruntime (the extra worker_pipeline[onnx]), or choose another detector'
        ) from error
    asked = list(params['onnx_providers'])
    there = onnxruntime.get_available_providers()
    providers = [name for name in asked if name in there]
    if not providers:
        raise ValueError(f'onnx_providers: found {asked}; allowed here: some of {there}')
    threads = params['onnx_threads'] or thread_limit()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # A thread that spins while it waits takes the processor from the other workers.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    configured = [(name, _provider_options(name, path, threads)) for name in providers]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=configured)
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise ValueError(
            f'onnx_model: found {str(path)!r}, which onnxruntime cannot load: {error}'
        ) from error
    _check_provider(session.get_providers(), providers)
    return session


def _provider_options(name: str, path: Path, threads: int) -> dict[str, str]:
    if name == 'TensorrtExecutionProvider':
        # Building its engine takes minutes; the next start loads it from beside the model.
        return {'trt_engine_cache_enable': '1', 'trt_engine_cache_path': str(path.parent)}
    if name == 'OpenVINOExecutionProvider':
        return {'num_of_threads': str(threads)} if threads else {}
    return {}


def _check_provider(used: Sequence[str], asked: Sequence[str]) -> None:
    """Raise ValueError if no configured provider works: onnxruntime falls back to the CPU."""
    if used[0] not in asked:
        raise ValueError(f'onnx_providers: found {list(asked)}, and only {list(used)} work')
