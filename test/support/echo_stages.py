# SPDX-License-Identifier: Apache-2.0
"""Stages whose outputs contain the age of the messages that their worker has received."""

from __future__ import annotations

import array
import os
import time

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from worker_pipeline import Stage

CONTEXTS = ('outside', 'inside')


class ContextAges(Stage):
    """Outputs the pid, the age of each context's newest message in s, and the item's number.

    The text of a context message is its time of publication, ns; the text of an item ends with its
    number.
    """

    input_type = Header
    output_type = Header
    contexts = dict.fromkeys(CONTEXTS, Header)
    parameters = {'seconds': 0.0}

    def process(self, item: Header) -> Header:
        time.sleep(self.params['seconds'])
        now = time.monotonic_ns()
        newest = [self.context[name].latest() for name in CONTEXTS]
        ages = [f'{(now - int(each.frame_id)) / 1e9:.3f}' if each else 'none' for each in newest]
        return Header(frame_id=' '.join([str(os.getpid()), *ages, item.frame_id.split()[-1]]))


class ContextAgesInImages(ContextAges):
    """Outputs the same in the header of an image; every tenth image is large."""

    output_type = Image
    parameters = {'seconds': 0.0, 'bytes': 1_000_000}

    def configure(self) -> None:
        self.large = array.array('B', bytes(self.params['bytes']))
        self.small = array.array('B', bytes(1))

    def process(self, item: Header) -> Image:
        header = super().process(item)
        data = self.small if int(header.frame_id.split()[-1]) % 10 else self.large
        return Image(
            header=header,
            height=1,
            width=len(data),
            encoding='mono8',
            step=len(data),
            data=data,
        )
