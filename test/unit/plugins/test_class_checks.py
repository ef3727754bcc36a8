# SPDX-License-Identifier: Apache-2.0
"""Classes that a worker cannot create, or whose process it cannot call, are found."""

from __future__ import annotations

import abc
import functools
import operator

import pytest

from worker_pipeline import Stage
from worker_pipeline.plugins.class_checks import class_problems


class Plain(Stage):
    def process(self, item):
        return item


class WithDefaults(Stage):
    def __init__(self, camera=0, *rest, **more):
        """Have arguments that may be left out."""

    def process(self, item, gain=1.0, *, offset=0):
        return item, gain, offset


class Static(Stage):
    @staticmethod
    def process(item):
        return item


class OfClass(Stage):
    @classmethod
    def process(cls, item):
        return item


class Partial(Stage):
    process = functools.partialmethod(Plain.process)


class HooksOfAllKinds(Plain):
    def configure(self, model='default'):
        """Have an argument that may be left out."""

    @staticmethod
    def activate():
        """Need no self."""

    @functools.lru_cache  # noqa: B019 - as people write it
    def cleanup(self):
        """Be decorated."""

    def bind(self, *arguments, **keywords):
        return super().bind(*arguments, **keywords)


class CallableObject(Stage):
    process = operator.itemgetter(0)


class Singleton(type):
    def __call__(cls, *arguments):
        return super().__call__(*arguments)


class IsSingleton(Plain, metaclass=Singleton):
    pass


@pytest.mark.parametrize(
    'stage',
    [Plain, WithDefaults, Static, OfClass, Partial, CallableObject, IsSingleton, HooksOfAllKinds],
)
def test_unusual_classes_that_work_have_no_problem(stage):
    assert class_problems(stage) == []


class NoProcess(Stage):
    def proces(self, item):
        """Have a misspelt name."""


class NotAFunction(Stage):
    process = 5


class Async(Stage):
    async def process(self, item):
        return item


class AsyncGenerator(Stage):
    async def process(self, item):
        yield item


class Generator(Stage):
    def process(self, item):
        yield item


class NoItem(Stage):
    def process(self):
        """Forget the item."""


class TwoItems(Stage):
    def process(self, image, odometry):
        return image, odometry


class StaticWithSelf(Stage):
    @staticmethod
    def process(self, item):
        return self, item


class LifecycleHook(Plain):
    def configure(self, state):
        """Have the signature of rclpy's on_configure."""


class AsyncHook(Plain):
    async def activate(self):
        """Never be awaited."""


class GeneratorHook(Plain):
    def deactivate(self):
        """Look like a pytest fixture."""
        yield


class NoHook(Plain):
    cleanup = True


class RestoresNothing(Plain):
    def save_state(self):
        return b''

    def restore_state(self):
        """Forget the state."""


class BindsSocket(Plain):
    def bind(self, port):
        """Have the name of a method of the framework."""


class KeywordNeeded(Plain):
    def __init__(self, *, camera):
        """Need an argument."""


class Abstract(Plain, abc.ABC):
    @abc.abstractmethod
    def load(self):
        """Load."""

    @abc.abstractmethod
    def detect(self):
        """Detect."""


@pytest.mark.parametrize(
    ('stage', 'text'),
    [
        (
            NoProcess,
            "NoProcess does not define process(self, item); did you mean 'proces'?",
        ),
        (NotAFunction, 'process of NotAFunction: found 5; allowed: a method'),
        (Async, 'process() of Async is a coroutine function'),
        (AsyncGenerator, 'process() of AsyncGenerator is a coroutine function'),
        (Generator, 'process() of Generator is a generator function'),
        (NoItem, 'process() of NoItem is called with the item alone; found process(self)'),
        (TwoItems, 'called with the item alone; found process(self, image, odometry)'),
        (StaticWithSelf, 'called with the item alone; found process(self, item)'),
        (
            LifecycleHook,
            'configure() of LifecycleHook is called without arguments; found configure(self, s',
        ),
        (AsyncHook, 'activate() of AsyncHook is a coroutine function; allowed: a method that does'),
        (GeneratorHook, 'deactivate() of GeneratorHook is a generator function; allowed: a method'),
        (NoHook, 'cleanup of NoHook: found True; allowed: a method'),
        (
            RestoresNothing,
            'restore_state() of RestoresNothing is called with the state alone; found restore_st',
        ),
        (
            BindsSocket,
            'an own method needs another name; found bind(self, port)',
        ),
        (
            KeywordNeeded,
            'KeywordNeeded is created without arguments; found KeywordNeeded(*, camera)',
        ),
        (Abstract, 'Abstract is abstract: it does not define detect, load'),
    ],
)
def test_a_class_that_cannot_work_is_named_with_the_reason(stage, text):
    (problem,) = class_problems(stage)
    assert text in problem
