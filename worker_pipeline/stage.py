"""The class a user writes: one step of the pipeline.

A stage is a plain class. It is built in a worker process of its own, so it may hold a model, a
device or a file; it never touches ROS. The worker node calls its hooks, one at a time and all from
the same thread, the worker process's main thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from worker_pipeline.context import ContextBuffer
from worker_pipeline.parameter import check_parameters
from worker_pipeline.status import StageStatus
from worker_pipeline.topic import Topic, TopicRecorder

# From a shape and an element's type to an array.
Lend = Callable[[int | tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]]


def _ordinary_memory(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.empty(shape, dtype)


class EndOfStream(Exception):
    """Raised by a source's ``process``: there is nothing more to come."""


class Stage:
    """One step of a pipeline: one input type, one output type, one method.

    Class attributes, to be set by a subclass:

    ``input_type``, ``output_type``
        ROS message classes whose first field is a ``std_msgs/Header``, or ``Header`` itself.
        A source's ``input_type`` is ``sensor_msgs/TimeReference``: ``header.stamp`` is the time of
        capture asked for, ``time_ref`` the time since the stream began, ``source`` is ``tick``.
    ``parameters``
        The stage's own parameters: name to default value, or to a
        :class:`~worker_pipeline.Parameter` that also says unit, range and meaning.
    ``contexts``
        Broadcast inputs: name to message class. Read as ``self.context[name].nearest(stamp)``.
    ``topics``
        Further topics, ``<stage>/<name>``: name to message class, or to a
        :class:`~worker_pipeline.Latched` one. Told as ``self.topic[name].publish(message)``.
    ``restart_on_error``
        Whether an exception in ``process()`` ends the worker (its slot gets a new one) instead of
        only failing the item.

    Set on the instance before any hook is called:

    ``params``
        Name to value of every parameter in ``parameters``.
    ``context``
        Name to :class:`~worker_pipeline.ContextBuffer`.
    ``topic``
        Name to :class:`~worker_pipeline.Topic`.
    ``status``
        A :class:`~worker_pipeline.StageStatus`: what the stage says of itself, in its worker's
        status on ``/diagnostics``.
    ``logger``
        A standard library logger; what it logs at INFO and above appears in the worker's ROS log.
    ``lend``
        What ``borrow_array`` asks for memory.
    """

    input_type: ClassVar[Any] = None
    output_type: ClassVar[Any] = None
    parameters: ClassVar[Mapping[str, Any]] = {}
    contexts: ClassVar[Mapping[str, Any]] = {}
    topics: ClassVar[Mapping[str, Any]] = {}
    restart_on_error: ClassVar[bool] = False

    # Class-level fallbacks, so that a subclass may define __init__ without calling ours.
    params: Mapping[str, Any] = {}
    context: Mapping[str, ContextBuffer] = {}
    topic: Mapping[str, Topic] = {}
    status: StageStatus = StageStatus()
    logger: logging.Logger = logging.getLogger('worker_pipeline.stage')
    lend: Lend = staticmethod(_ordinary_memory)

    def bind(
        self,
        params: Mapping[str, Any] | None = None,
        context: Mapping[str, ContextBuffer] | None = None,
        logger: logging.Logger | None = None,
        topic: Mapping[str, Topic] | None = None,
    ) -> Stage:
        """Give the stage its parameters and contexts; the worker does this, and so does a test.

        ``params`` may name only some of ``parameters``; the rest keep their defaults. Contexts that
        are not given become empty buffers, topics :class:`~worker_pipeline.TopicRecorder`. Returns
        ``self``. Raises :class:`~worker_pipeline.ParameterError` naming every unknown, mistyped or
        forbidden value.
        """
        self.params = check_parameters(type(self).parameters, params or {})
        given = context or {}
        self.context = {
            # An empty buffer is false, and still the one that will be filled.
            name: given[name] if name in given else ContextBuffer()
            for name in type(self).contexts
        }
        self.status = StageStatus()
        told = topic or {}
        self.topic = {name: told.get(name) or TopicRecorder() for name in type(self).topics}
        if logger is not None:
            self.logger = logger
        return self

    def borrow_array(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = np.uint8
    ) -> npt.NDArray[Any]:
        """An array to write an output's ``data`` to: returned as that, it is not copied any more.

        It is in the shared memory by which large messages travel; in ordinary memory where there
        is none, or not enough, in a test, and of less than 64 kB. What is in it is undefined, as of
        ``numpy.empty``. Any thread may borrow, at any time, and let go of it unused. Whoever keeps
        it, or a part of it, past the ``process()`` that returned it, may: a copy is sent then.
        """
        return self.lend(shape, dtype)

    def configure(self) -> None:
        """Load what is needed (a model, a device). An exception ends the worker."""

    def activate(self) -> None:
        """Items may come from now on."""

    def process(self, item: Any) -> Any:
        """Turn one input message into one output message, or None for "nothing here".

        The worker sets the output's ``header.stamp`` to the input's; ``frame_id`` is the stage's
        affair. Only a source may stamp its output itself, with the moment of capture; each with
        another one. An exception counts as one failed attempt at this item. A source raises
        :class:`EndOfStream` when there is nothing more to come.
        """
        raise NotImplementedError

    def save_state(self) -> bytes:
        """A stage that remembers: what it would need to go on exactly where it is.

        Called after every item. Overriding it is what makes a stage one that remembers.
        """
        return b''

    def restore_state(self, state: bytes) -> None:
        """Go on from ``state``, which is what ``save_state`` gave last.

        Called after ``configure`` in a replacement, and after ``process()`` raised.
        """

    def deactivate(self) -> None:
        """No items come until the next ``activate``."""

    def cleanup(self) -> None:
        """Let go of what ``configure`` took."""
