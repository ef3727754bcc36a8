# SPDX-License-Identifier: Apache-2.0
"""The ``format`` of a ``sensor_msgs/CompressedImage``, as image_transport and drivers write it.

It is ``jpeg``, ``png`` or the like, or image_transport's ``rgb8; jpeg compressed bgr8``: the
encoding of the image, the codec, and what was given to the codec.
"""

from __future__ import annotations

from typing import NamedTuple


class Format(NamedTuple):
    """The parts of ``format``; '' where it has none."""

    encoding: str  # of the image before compression
    codec: str
    compressed: str  # the encoding that was compressed, if it is another

    @property
    def is_cut_off(self) -> bool:
        """Return whether words of 16 bits were given to a JPEG: OpenCV ends them at 255."""
        return (
            self.encoding.lower() in ('mono16', '16uc1', '16sc1')
            and self.codec in ('jpeg', 'jpg')
            and not self.compressed
        )


def format_of(text: str) -> Format:
    """Return the parts of a message's ``format``."""
    first, separator, rest = (each.strip() for each in text.partition(';'))
    if not separator:
        return Format('', first.lower().rpartition('/')[2], '')  # also of image/jpeg
    codec, _, compressed = rest.partition(' compressed')
    return Format(first, codec.strip().lower(), compressed.strip())
