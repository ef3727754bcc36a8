"""Stages whose answers tell what has reached the worker that gives them."""

from __future__ import annotations

import array
import os
import time

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from worker_pipeline import Stage

CONTEXTS = ('outside', 'inside')


class Tells(Stage):
    """For each context, how old its newest message is: its text is when it was published, in ns.

    And the number of the item, with which its text ends.
    """

    input_type = Header
    output_type = Header
    contexts = dict.fromkeys(CONTEXTS, Header)
    parameters = {'seconds': 0.0}

    def process(self, item):
        time.sleep(self.params['seconds'])
        now = time.monotonic_ns()
        newest = [self.context[name].latest() for name in CONTEXTS]
        ages = [f'{(now - int(each.frame_id)) / 1e9:.3f}' if each else 'none' for each in newest]
        return Header(frame_id=' '.join([str(os.getpid()), *ages, item.frame_id.split()[-1]]))


class TellsInPictures(Tells):
    """The same beside a picture; that of every tenth item is a large one."""

    output_type = Image
    parameters = {'seconds': 0.0, 'bytes': 1_000_000}

    def configure(self):
        self.large = array.array('B', bytes(self.params['bytes']))
        self.small = array.array('B', bytes(1))

    def process(self, item):
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
