# SPDX-License-Identifier: Apache-2.0
"""Outputs of wrong types, huge, shared, and edited."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image, NavSatFix
from std_msgs.msg import Header

from hostile.hostile_stage import HostileStage
from worker_pipeline import Stage

SIDE = 400  # px: 160 kB, so that images travel through shared memory


class ReturnsGenerator(HostileStage):
    """returns a generator"""

    def trouble(self, item):
        return (item for _ in range(3))


class ReturnsCoroutine(HostileStage):
    """returns a coroutine"""

    async def trouble(self, item):
        return item


class ReturnsList(HostileStage):
    """returns a list of outputs"""

    def trouble(self, item):
        return [item, item]


class ReturnsTuple(HostileStage):
    """returns (True, output)"""

    def trouble(self, item):
        return True, item


class ReturnsDict(HostileStage):
    """returns a dictionary"""

    def trouble(self, item):
        return {'frame_id': item.frame_id}


class ReturnsBool(HostileStage):
    """returns False for 'nothing here'"""

    def trouble(self, item):
        return False


class ReturnsArray(HostileStage):
    """returns a numpy array"""

    def trouble(self, item):
        return np.zeros((2, 2))


class ReturnsOtherMessage(HostileStage):
    """returns a message of another type"""

    def trouble(self, item):
        return Image(header=item)


class ReturnsClass(HostileStage):
    """returns the class instead of an instance"""

    def trouble(self, item):
        return Header


class SetsWrongField(HostileStage):
    """assigns a number to a text field"""

    def trouble(self, item):
        return Header(frame_id=5)


class SetsIntegerInFloat(HostileStage):
    """assigns an int and a numpy.float32 to float fields"""

    output_type = NavSatFix

    def process(self, item):
        return NavSatFix(latitude=int(item.frame_id), longitude=np.float32(item.frame_id))


class ReadsLatitude(Stage):
    """Not hostile: returns the latitude, if the longitude is the same."""

    input_type = NavSatFix
    output_type = Header

    def process(self, item):
        same = item.latitude == item.longitude
        return Header(frame_id=f'{item.latitude:g}' if same else f'{item.latitude} and another')


class ReturnsItsItem(HostileStage):
    """returns the item itself, with another stamp: negative, zero or years away"""

    def process(self, item):
        item.stamp.sec = {'0': -1, '1': 0}.get(item.frame_id, 2**31 - 1)
        item.stamp.nanosec = 0
        return item


class ReturnsSameObject(HostileStage):
    """returns the same message each time, and edits it"""

    def configure(self):
        self.output = Header()

    def process(self, item):
        self.output.frame_id = item.frame_id
        return self.output


class KeepsItems(HostileStage):
    """keeps every item and edits those before"""

    def configure(self):
        self.kept = []

    def process(self, item):
        for each in self.kept:
            each.frame_id = 'edited'
            each.stamp.sec = 0
        self.kept.append(item)
        return Header(frame_id=item.frame_id)


class ReturnsHugeText(HostileStage):
    """returns a message with 20 MB of text"""

    def trouble(self, item):
        return Header(frame_id=item.frame_id + ' ' * 20_000_000)


class Measures(Stage):
    """Not hostile: returns the text of its item without blanks."""

    input_type = Header
    output_type = Header

    def process(self, item):
        return Header(frame_id=item.frame_id.strip())


class HostileImages(HostileStage):
    """Makes images of items: all pixels are the item's number."""

    output_type = Image

    def image(self, item, side=SIDE):
        """Return the image of an item."""
        data = np.full((side, side), int(item.frame_id), np.uint8)
        return self.message(data)

    def message(self, data):
        """Return a message with the pixels of an array."""
        height, width = data.shape
        message = Image(height=height, width=width, step=width, encoding='mono8')
        message.data = data.tobytes()
        return message

    def process(self, item):
        return self.trouble(item) if item.frame_id == '2' else self.image(item)

    def trouble(self, item):
        return self.image(item)


class MakesHugeImage(HostileImages):
    """returns an image of 100 MB"""

    def trouble(self, item):
        return self.image(item, 10_000)


class ReusesImage(HostileImages):
    """returns the same image each time, and edits its pixels in place"""

    def configure(self):
        self.array = self.borrow_array((SIDE, SIDE))

    def process(self, item):
        self.array[:] = int(item.frame_id)
        message = Image(height=SIDE, width=SIDE, step=SIDE, encoding='mono8')
        message._data = memoryview(self.array.reshape(-1))
        return message


class MisshapesImage(HostileImages):
    """returns an image whose size is not that of its pixels, and whose header is missing"""

    def trouble(self, item):
        message = self.image(item)
        message.height = 7
        message._header = None
        return message


class MeasuresImages(Stage):
    """Not hostile: returns the pixel of an image, if all are the same."""

    input_type = Image
    output_type = Header

    def process(self, item):
        pixels = np.frombuffer(item.data, np.uint8)
        low, high = int(pixels.min()), int(pixels.max())
        return Header(frame_id=str(low) if low == high else f'{low} to {high}')


class EditsImage(HostileStage):
    """edits the pixels of its item in place"""

    input_type = Image

    def process(self, item):
        number = str(item.data[0])
        if number == '2':
            np.frombuffer(item.data, np.uint8)[:] = 0
        return Header(frame_id=number)


class KeepsImages(HostileStage):
    """keeps every image, as items and as arrays, until the end"""

    input_type = Image

    def configure(self):
        self.kept = []

    def process(self, item):
        self.kept += [item, np.frombuffer(item.data, np.uint8)]
        return Header(frame_id=str(item.data[0]))


class ReturnsItsImage(HostileImages):
    """returns the image that it was given"""

    input_type = Image

    def process(self, item):
        return item
