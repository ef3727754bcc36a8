# SPDX-License-Identifier: Apache-2.0
"""The smallest configuration of a pipeline, and the problems that are found in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from worker_pipeline.config import ConfigurationError, load


def minimal(**further: Any) -> dict[str, Any]:
    """Return the smallest pipeline, a camera and a detector; ``a__b`` stands for ``a.b``."""
    return {
        'stages': ['camera', 'detector'],
        'camera.plugin': 'stages:Camera',
        'detector.plugin': 'stages:Detector',
        'detector.input': 'camera',
    } | {key.replace('__', '.'): value for key, value in further.items()}


def problems(parameters: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(parameters)
    assert str(caught.value) == '\n'.join(caught.value.problems)
    return caught.value.problems
