# SPDX-License-Identifier: Apache-2.0
"""A stage that takes long to load, as one with a neural network does."""

import os
import time

from sensor_msgs.msg import TimeReference
from std_msgs.msg import Header

from worker_pipeline import Parameter, Stage


class Camera(Stage[TimeReference, Header]):
    """Simulate a camera; the header stands for an image."""

    input_type = TimeReference
    output_type = Header

    def process(self, tick: TimeReference) -> Header:
        return Header(frame_id='camera')


class Detect(Stage[Header, Header]):
    """Answer with the id of the process that did it."""

    input_type = Header
    output_type = Header
    parameters = {'load_time': Parameter(5.0, 'to load the model', 's', minimum=0.0)}

    def configure(self) -> None:
        # Here a model is loaded. A standby has done it in advance, and waits for activate().
        time.sleep(self.params['load_time'])

    def process(self, item: Header) -> Header:
        self.logger.info('detected')
        return Header(frame_id=f'process {os.getpid()}')
