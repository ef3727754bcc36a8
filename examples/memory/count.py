# SPDX-License-Identifier: Apache-2.0
"""A stage that remembers: its state survives its process."""

import json

from sensor_msgs.msg import TimeReference
from std_msgs.msg import Header

from worker_pipeline import Stage


class Tick(Stage[TimeReference, Header]):
    """Create an item per period."""

    input_type = TimeReference
    output_type = Header

    def process(self, tick: TimeReference) -> Header:
        return Header()


class Count(Stage[Header, Header]):
    """Count the items."""

    input_type = Header
    output_type = Header

    def configure(self) -> None:
        self.count = 0

    def process(self, item: Header) -> Header:
        self.count += 1
        self.logger.info(f'{self.count} items')
        return Header(frame_id=str(self.count))

    def save_state(self) -> bytes:
        # Called after every item, so keep it small. The manager stores it together with the
        # item's completion: an item is never counted twice, nor left out.
        return json.dumps({'count': self.count}).encode()

    def restore_state(self, state: bytes) -> None:
        # Called in the replacement, after configure and before its first item.
        self.count = json.loads(state)['count']
