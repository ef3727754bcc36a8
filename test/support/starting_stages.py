# SPDX-License-Identifier: Apache-2.0
"""A stage that records when its worker starts, and when it is configured."""

from __future__ import annotations

import os
import time
from pathlib import Path

from std_msgs.msg import Header

from worker_pipeline import Stage

# The environment variable with the path of the file in which starts are recorded.
STARTS = 'WORKER_PIPELINE_TEST_STARTS'


class StartsSlowly(Stage):
    """Appends the times of its construction and of the end of ``configure`` to a file, s."""

    input_type = Header
    output_type = Header
    parameters = {'seconds': 0.3}

    def __init__(self) -> None:
        self.began = time.monotonic()

    def configure(self) -> None:
        time.sleep(self.params['seconds'])
        with Path(os.environ[STARTS]).open('a') as file:
            file.write(f'{os.getpid()} {self.began} {time.monotonic()}\n')

    def process(self, item: Header) -> Header:
        return item
