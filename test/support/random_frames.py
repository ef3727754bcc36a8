# SPDX-License-Identifier: Apache-2.0
"""The data of frames, at random."""

from __future__ import annotations

import numpy as np


def frame(seed: int, size: int = 100_000) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()
