# SPDX-License-Identifier: Apache-2.0
"""Convert between ROS images and numpy arrays: the import path for stages."""

from __future__ import annotations

from worker_pipeline.airside.messages.image import (
    BGR8,
    PASSTHROUGH,
    Pixels,
    UnreadableImageError,
    from_message,
    to_message,
)

__all__ = ['BGR8', 'PASSTHROUGH', 'Pixels', 'UnreadableImageError', 'from_message', 'to_message']
