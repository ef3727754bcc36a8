# SPDX-License-Identifier: Apache-2.0
"""A stage whose worker calls at its manager's socket by itself."""

from __future__ import annotations

from pathlib import Path

from std_msgs.msg import Header

from support.socket_fuzz import Fuzz
from worker_pipeline import Stage


class Mad(Stage):
    """Calls ``calls`` times for each item, and sends anything but what it should."""

    input_type = Header
    output_type = Header
    parameters = {'socket': '', 'calls': 0}

    def configure(self) -> None:
        self.fuzz = Fuzz(Path(self.params['socket']), seed=0)

    def process(self, item: Header) -> Header:
        self.fuzz.call(self.params['calls'])
        return item
