# SPDX-License-Identifier: Apache-2.0
"""The base class of stages, which users subclass.

A stage is a plain Python class that never touches ROS. Each worker process builds one instance, so
a stage may hold a model, a device or an open file. The worker calls the hooks one at a time, all
from the main thread of its process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

import numpy as np
import numpy.typing as npt

from worker_pipeline.context import ContextBuffer
from worker_pipeline.parameter import check_parameters
from worker_pipeline.status import StageStatus
from worker_pipeline.topic import Topic, TopicRecorder

if TYPE_CHECKING:
    # Type checkers bring typing_extensions along; at run time it need not be installed.
    from typing_extensions import Self, TypeVar

    # With defaults, a plain `Stage` is complete also under mypy --strict.
    In = TypeVar('In', default=Any)
    Out = TypeVar('Out', default=Any)
else:
    from typing import TypeVar

    In = TypeVar('In')
    Out = TypeVar('Out')

# Makes an array from its shape and the type of its elements.
Loan = Callable[[int | tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]]


def _ordinary_memory(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.empty(shape, dtype)


class EndOfStream(Exception):
    """Raised by ``process`` of a source that has no more items."""


class Stage(Generic[In, Out]):
    """One step of a pipeline: one input type, one output type, one method.

    >>> from std_msgs.msg import Header
    >>> class Scale(Stage[Header, Header]):
    ...     input_type = Header
    ...     output_type = Header
    ...     parameters = {'factor': 2}
    ...
    ...     def process(self, item):
    ...         number = int(item.frame_id) * self.params['factor']
    ...         return Header(frame_id=str(number))
    >>> Scale().bind({'factor': 3}).process(Header(frame_id='14')).frame_id
    '42'

    The types in brackets are for type checkers and may be left out: ``class Scale(Stage)``.

    Class attributes, set by a subclass:

    ``input_type``, ``output_type``
        ROS message classes whose first field is a ``std_msgs/Header``, or ``Header`` itself. A
        source takes ``sensor_msgs/TimeReference``: ``header.stamp`` is the capture time asked for,
        ``time_ref`` the time since the start of the stream, ``source`` is ``tick``.
    ``parameters``
        The stage's own parameters: a default value or a :class:`~worker_pipeline.Parameter`, which
        also has a unit, limits and a description, by name. Read as ``self.params[name]``.
    ``contexts``
        Broadcast inputs: message class by name. Read as ``self.context[name].nearest(stamp)``.
    ``optional_contexts``
        The names of contexts that a configuration may leave out; they are then always empty.
    ``topics``
        Additional topics ``<stage>/<name>``: message class, or :class:`~worker_pipeline.Latched`
        message class, by name; :class:`~worker_pipeline.AbsoluteTopic` for one that is not below
        the stage, such as ``/tf``. Published as ``self.topic[name].publish(message)``.
    ``state_codec``
        The form of the state of ``save_state``: ``bytes``; or ``json`` or ``msgpack`` for a
        structure of dicts, lists, numbers and strings, msgpack also with bytes.
    ``separate_states``
        True: the stage may have several workers, each with a state of its own; without it that is
        warned of.
    ``restart_on_error``
        True: an exception in ``process`` also ends the worker, and its slot gets a new one.
    ``exclusive``
        True: a worker holds something that no other process may have at the same time, from its
        start or ``configure`` on, as a camera or a port. There is then one worker at most. It has
        exited before another one is started, so each replacement leaves a gap, which is reported.

    Instance attributes, set by ``bind`` before the first hook is called:

    ``params``
        The value of each parameter by name.
    ``context``
        The :class:`~worker_pipeline.ContextBuffer` of each context by name.
    ``topic``
        The :class:`~worker_pipeline.Topic` of each additional topic by name.
    ``status``
        A :class:`~worker_pipeline.StageStatus`, shown in the worker's status on ``/diagnostics``.
    ``logger``
        A standard library logger; INFO and above appear in the worker's ROS log.
    ``loan``
        The function from which ``borrow_array`` gets its memory.
    """

    # Class attributes too, but a ClassVar cannot name a type variable.
    input_type: type[In] = cast(Any, None)
    output_type: type[Out] = cast(Any, None)
    parameters: ClassVar[Mapping[str, Any]] = {}
    contexts: ClassVar[Mapping[str, Any]] = {}
    optional_contexts: ClassVar[Collection[str]] = ()
    topics: ClassVar[Mapping[str, Any]] = {}
    state_codec: ClassVar[str] = 'bytes'
    separate_states: ClassVar[bool] = False
    restart_on_error: ClassVar[bool] = False
    exclusive: ClassVar[bool] = False

    # Class-level fallbacks, so that a subclass may define __init__ without calling ours.
    params: Mapping[str, Any] = {}
    context: Mapping[str, ContextBuffer] = {}
    topic: Mapping[str, Topic] = {}
    status: StageStatus = StageStatus()
    logger: logging.Logger = logging.getLogger('worker_pipeline.stage')
    loan: Loan = staticmethod(_ordinary_memory)

    def bind(
        self,
        params: Mapping[str, Any] | None = None,
        context: Mapping[str, ContextBuffer] | None = None,
        logger: logging.Logger | None = None,
        topic: Mapping[str, Topic] | None = None,
    ) -> Self:
        """Set the instance attributes, as the worker does before the first hook, and so do tests.

        Args:
            params: values of parameters; the others keep their defaults.
            context: buffers of contexts; the others get empty ones.
            logger: the logger; None keeps the present one.
            topic: additional topics; the others become :class:`~worker_pipeline.TopicRecorder`.

        Returns:
            The stage itself.

        Raises:
            ParameterError: for unknown parameters and values that are not allowed, all at once.
        """
        self.params = check_parameters(type(self).parameters, params or {})
        buffers = context or {}
        self.context = {
            # Not `or`: an empty buffer is falsy.
            name: buffers[name] if name in buffers else ContextBuffer()
            for name in type(self).contexts
        }
        self.status = StageStatus()
        topics = topic or {}
        self.topic = {name: topics.get(name) or TopicRecorder() for name in type(self).topics}
        if logger is not None:
            self.logger = logger
        return self

    def borrow_array(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = np.uint8
    ) -> npt.NDArray[Any]:
        """Return an uninitialised array to fill with an output's ``data`` and send without a copy.

        The array is in the shared memory that carries large messages. It is in ordinary memory if
        there is no shared memory or too little, if it is smaller than 64 kB, and in tests. Any
        thread may borrow at any time, and drop an array unused. If the stage keeps the array, or a
        part of it, after ``process()`` has returned it, a copy is sent instead.
        """
        return self.loan(shape, dtype)

    def configure(self) -> None:
        """Load what several workers may have at once, as a model. An exception ends the worker.

        A replacement is configured while the former worker still runs, so that no item waits. What
        only one process may hold, as a device or a port, belongs in ``activate``; or the class sets
        ``exclusive = True``.
        """

    def activate(self) -> None:
        """Prepare for items, which may come from now on: open what only one worker may hold.

        No more workers than configured are active at one time: the former one has been deactivated,
        or has exited, before this is called.
        """

    def process(self, item: In, /) -> Out | None:
        """Return the output for one item, or None if there is none.

        The worker sets the output's ``header.stamp`` to the input's and leaves ``frame_id`` alone.
        Only a source may stamp its outputs itself, each with its own time of capture. A source
        raises :class:`EndOfStream` when it has no more items. Any other exception counts as a
        failed attempt at this item.
        """
        raise NotImplementedError

    def save_state(self) -> Any:
        """Return the state a replacement needs to continue exactly here; called after every item.

        Bytes, or what ``state_codec`` takes. Overriding this makes the stage stateful: its workers
        get one item at a time and cannot have standbys.
        """
        return b''

    def restore_state(self, state: Any) -> None:
        """Continue from ``state``, which ``save_state`` returned last; tuples come as lists.

        Called after ``configure`` in a replacement, and after ``process`` has raised an exception.
        """

    def deactivate(self) -> None:
        """Pause: no items come until the next ``activate``. Close what that has opened."""

    def cleanup(self) -> None:
        """Release the resources of ``configure``."""
