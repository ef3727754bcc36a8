# SPDX-License-Identifier: Apache-2.0
"""A source, which creates items, and a stage that logs them."""

from sensor_msgs.msg import TimeReference
from std_msgs.msg import Header

from worker_pipeline import EndOfStream, Parameter, Stage


class Countdown(Stage[TimeReference, Header]):
    """Count down, one number per tick; a camera would return its next image."""

    # What makes it a source. The tick's header.stamp is the time of capture that is asked for,
    # its time_ref the time since the stream began.
    input_type = TimeReference
    output_type = Header
    parameters = {'start': Parameter(5, 'the first number', minimum=1)}

    def configure(self) -> None:
        self.number = self.params['start']

    def process(self, tick: TimeReference) -> Header:
        if self.number == 0:
            raise EndOfStream  # a live camera never does
        output = Header(frame_id=str(self.number))  # its stamp is set to the tick's
        self.number -= 1
        return output


class Log(Stage[Header, Header]):
    """Log each item."""

    input_type = Header
    output_type = Header

    def process(self, item: Header) -> Header:
        self.logger.info(item.frame_id)  # to the manager's terminal, /rosout and the log file
        return item
