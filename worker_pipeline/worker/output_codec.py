# SPDX-License-Identifier: Apache-2.0
"""The codec of a worker, which sends what a stage has put into its outputs, or nothing."""

from __future__ import annotations

from typing import Any

from worker_pipeline.frames.codec import FrameCodec
from worker_pipeline.ros.message_fields import check_fields


class OutputCodec(FrameCodec):
    """A codec that checks the fields of an output before it is sent."""

    def serialize(self, message: Any) -> bytes:
        """Return an output message's bytes, or a reference to them.

        Raises:
            TypeError: A field of a number or a text has something else.
            OverflowError: A field has a number that is too large or too small.
        """
        check_fields(message)
        return super().serialize(message)
