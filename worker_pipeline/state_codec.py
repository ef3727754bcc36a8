# SPDX-License-Identifier: Apache-2.0
"""Converts what ``save_state`` returns to bytes and back, by the codec that a stage class names.

Never pickle: a state may be restored by other code than has saved it, and reading a pickle runs
code. A state that would come back as something else is refused.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterable
from typing import Any

from worker_pipeline.error_text import describe_error

BYTES, JSON, MSGPACK = 'bytes', 'json', 'msgpack'
CODECS = (BYTES, JSON, MSGPACK)
# Containers, and what they are restored as.
_CONTAINERS: dict[type, type] = {dict: dict, list: list, tuple: list, bytearray: bytes}
_PLAIN = frozenset({dict, list, tuple, str, int, float, bool, bytes, type(None)})


class StateError(Exception):
    """What ``save_state`` has returned cannot be saved, or what was saved cannot be read."""


def is_available(codec: str) -> bool:
    """Return whether a codec can be used here: msgpack is an optional package."""
    return codec != MSGPACK or importlib.util.find_spec('msgpack') is not None


def encode_state(codec: str, state: Any) -> bytes:
    """Return a state's bytes. Raises StateError if it is not what the codec takes."""
    if codec == BYTES:
        return _bytes_of(state)
    if state is None:
        raise StateError('save_state() returned None; allowed: a value; is a return missing?')
    try:
        data = _json_of(state) if codec == JSON else _msgpack_of(state)
        restored = decode_state(codec, data)
    except Exception as error:
        raise StateError(
            f'save_state() returned what {codec} cannot hold: {describe_error(error)}'
        ) from error
    _check_containers(codec, state)
    # Mostly equal, which takes no time to find out; else it may still be equivalent.
    if not _equals(state, restored):
        _check_equivalent(codec, state, restored)
    return data


def decode_state(codec: str, data: bytes) -> Any:
    """Return the state in bytes. Raises StateError if they are not the codec's."""
    if codec == BYTES:
        return data
    try:
        if codec == JSON:
            return json.loads(data)
        import msgpack

        return msgpack.unpackb(data, raw=False, strict_map_key=False)
    except Exception as error:
        raise StateError(f'the saved state is no {codec}: {describe_error(error)}') from error


def _bytes_of(state: Any) -> bytes:
    if isinstance(state, (bytes, bytearray, memoryview)):
        return bytes(state)
    # Not bytes(state): that of a number is so many zero bytes, that of a list may be anything.
    found = 'None' if state is None else f'a value of type {type(state).__name__}'
    raise StateError(
        f"save_state() returned {found}; allowed: bytes, or with state_codec = 'json' in the "
        'class a structure of dicts, lists, numbers and strings'
    )


def _json_of(state: Any) -> bytes:
    return json.dumps(state, separators=(',', ':')).encode()


def _msgpack_of(state: Any) -> bytes:
    import msgpack

    packed: bytes = msgpack.packb(state, use_bin_type=True)
    return packed


def _equals(state: Any, restored: Any) -> bool:
    try:
        return bool(state == restored)
    except Exception:  # an array has no single truth value
        return False


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _place(path: tuple[Any, ...]) -> str:
    return 'state' + ''.join(f'[{each!r}]' for each in path)


def _check_containers(codec: str, state: Any, *path: Any) -> None:
    """Raise StateError for a container that is equal to what it is restored as, but does less.

    A defaultdict, a Counter or a named tuple is restored as a plain one. To look everywhere would
    take longer than the codec does, so it is done at the top and one level below.

    Args:
        codec: The codec.
        state: The state.
        path: The keys and indices that lead here, for the error.
    """
    plain = next((each for each in _CONTAINERS if isinstance(state, each)), None)
    if plain is None:
        return
    if type(state) not in _PLAIN:
        found, restored = type(state).__name__, _CONTAINERS[plain].__name__
        raise StateError(
            f'save_state() returned a {found} in {_place(path)}, which {codec} would restore as '
            f'{restored}; allowed: a {restored}, from which restore_state() makes a {found}'
        )
    if not path:
        entries: Iterable[Any] = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in entries:
            if type(value) not in _PLAIN:
                _check_containers(codec, value, key)


def _check_equivalent(codec: str, state: Any, restored: Any, *path: Any) -> None:
    """Raise StateError where a restored state is another than was saved; tuples become lists.

    Args:
        codec: The codec.
        state: The state.
        restored: What it was restored as.
        path: The keys and indices that lead here, for the error.
    """
    if isinstance(state, dict) and isinstance(restored, dict):
        for key, value in state.items():
            if key not in restored:
                raise StateError(
                    f'save_state() returned a dict with the key {key!r} in {_place(path)}, which '
                    f'{codec} turns into a string; allowed: strings'
                )
            if not _equals(value, restored[key]):
                _check_equivalent(codec, value, restored[key], *path, key)
    elif isinstance(state, (list, tuple)) and isinstance(restored, list):
        for index, value in enumerate(state):
            if not _equals(value, restored[index]):
                _check_equivalent(codec, value, restored[index], *path, index)
    elif not (_is_nan(state) and _is_nan(restored)):
        raise StateError(
            f'save_state() returned a {type(state).__name__} in {_place(path)}, which {codec} '
            f'would restore as {type(restored).__name__}'
        )
