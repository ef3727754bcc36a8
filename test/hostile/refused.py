# SPDX-License-Identifier: Apache-2.0
"""Classes that cannot work, which are refused before anything starts."""

from __future__ import annotations

import abc

from std_msgs.msg import Header, String

from worker_pipeline import Stage


class _Headers(Stage):
    input_type = Header
    output_type = Header


class HasNoTypes(Stage):
    """has no input_type and no output_type"""

    def process(self, item):
        return item


class NamesItsTypes(Stage):
    """has types given as text"""

    input_type = 'std_msgs/msg/Header'
    output_type = 'Header'

    def process(self, item):
        return item


class TakesNoMessage(Stage):
    """has types that are no messages: int, and an instance"""

    input_type = int
    output_type = Header()

    def process(self, item):
        return item


class TakesHeaderless(Stage):
    """has a message without a header as its type"""

    input_type = String
    output_type = String

    def process(self, item):
        return item


class HasNoProcess(_Headers):
    """does not define process, but proces"""

    def proces(self, item):
        """Have a misspelt name."""


class HasAsyncProcess(_Headers):
    """has an async def process"""

    async def process(self, item):
        return item


class YieldsFromProcess(_Headers):
    """yields its outputs from process"""

    def process(self, item):
        yield item
        yield item


class TakesNoItem(_Headers):
    """has a process without a parameter for the item"""

    def process(self):
        return Header()


class TakesTwoItems(_Headers):
    """has a process with two parameters"""

    def process(self, image, odometry):
        return image


class NeedsArguments(_Headers):
    """has an __init__ with arguments"""

    def __init__(self, camera):
        self.camera = camera

    def process(self, item):
        return item


class IsAbstract(_Headers, abc.ABC):
    """does not implement an abstract method"""

    @abc.abstractmethod
    def detect(self, item):
        """Detect."""

    def process(self, item):
        return self.detect(item)


class HasProcessAttribute(_Headers):
    """has a process that cannot be called"""

    process = None


class SavesWithoutRestoring(_Headers):
    """saves its state, but cannot restore it"""

    def process(self, item):
        return item

    def save_state(self):
        return b''


class HasListOfParameters(_Headers):
    """has parameters in a list"""

    parameters = ['gain']

    def process(self, item):
        return item


INSTANCE = HasNoProcess()


def function(item):
    """Return the item."""
    return item


class HasLifecycleHooks(_Headers):
    """has hooks that take the former state, as rclpy's lifecycle nodes do"""

    def configure(self, state):
        return state

    def process(self, item):
        return item


class HasAsyncHook(_Headers):
    """has a coroutine function for a hook"""

    async def activate(self):
        raise OSError('no camera')

    def process(self, item):
        return item


class BindsPort(_Headers):
    """has a method bind(port) of its own"""

    def bind(self, port=0):
        return port

    def process(self, item):
        return item
