# SPDX-License-Identifier: Apache-2.0
"""The command ``worker``: one stage alone, in the foreground, for a debugger.

There is no manager and no other process. Items come from the topic ``input`` or, for a source,
every ``period``; outputs go to the topic ``output``. The stage's code runs on the main thread, as
in every worker. An item that fails is logged with its traceback, and is not tried again.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from bdb import BdbQuit
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.signals import SignalHandlerOptions

from worker_pipeline.config import NODE_PARAMETERS
from worker_pipeline.context import CLOCK_JUMP, ContextBuffer
from worker_pipeline.core.tick_source import TickSource
from worker_pipeline.error_text import traceback_text
from worker_pipeline.exit_codes import EXIT_BAD_CONFIGURATION, EXIT_STAGE_FAILED
from worker_pipeline.parameter import ParameterError, did_you_mean, short_repr
from worker_pipeline.plugins.loader import PluginError, load_stage_class
from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer, RecentAnswers
from worker_pipeline.ros import dds, qos, shared_memory
from worker_pipeline.ros.errors import describe_ros_error, is_bad_argument
from worker_pipeline.ros.executor import Spinner, create_executor
from worker_pipeline.ros.matched_subscription import MatchedSubscription
from worker_pipeline.ros.node_log import NodeLog
from worker_pipeline.ros.package_share import package_share
from worker_pipeline.ros.sim_clock import USE_SIM_TIME
from worker_pipeline.ros.throttled_log import ThrottledLog
from worker_pipeline.ros.tick import read_clocks, tick_at
from worker_pipeline.stage import Stage
from worker_pipeline.system.temporary_folder import forbid_abstract_sockets
from worker_pipeline.transient_errors import file_may_appear, is_transient
from worker_pipeline.worker.stage_logger import stage_logger
from worker_pipeline.worker.stage_runner import StageFailedError, StageRunner
from worker_pipeline.worker.stage_topics import make_topics

EXIT_HOOK_FAILED = 1
EXIT_CANNOT_START = 1
TICK_PERIOD = 0.2  # s
# How many items may wait; further ones are dropped.
QUEUE_SIZE = 10
# What the command reads, beside what every ROS node has.
OWN_PARAMETERS = ('plugin', 'period')
TABLES = ('context', 'params')


class StopRequestedError(KeyboardInterrupt):
    """The user wants the worker to end, unlike a KeyboardInterrupt that the stage raises itself."""


def _request_stop(*_: object) -> NoReturn:
    raise StopRequestedError


class StandaloneWorker(Node):  # type: ignore[misc]
    """The node of a worker without a manager.

    Its parameters: ``plugin``, ``period``, and the tables ``params`` and ``context``. Raises
    PluginError and ParameterError.
    """

    def __init__(self) -> None:
        super().__init__(
            'worker',
            namespace='/airside',
            allow_undeclared_parameters=True,
            automatically_declare_parameters_from_overrides=True,
        )
        self.log = NodeLog(self)
        self._throttled = ThrottledLog(self.log)
        self.stage = self._create_stage()
        # The node itself is the runner's codec and item tracker.
        self.runner = StageRunner(
            self.stage,
            self,
            self,
            RecentAnswers(1),
            self.publish_answer,
            log_error=self.log.error,
            ends_run=(BdbQuit, StopRequestedError),
        )
        self._input_type = type(self.stage).input_type
        self._last_number = 0
        self._output = self.create_publisher(
            type(self.stage).output_type, 'output', qos.reliable(QUEUE_SIZE)
        )
        self._ticks = TickSource(float(self._parameter('period', 0.0)))
        self._subscriptions_kept = self._subscribe_to_contexts()
        if self._ticks.period > 0:
            self._ticks.is_simulated = self.get_parameter(USE_SIM_TIME).value is True
            self.create_timer(self._ticks.period, self._on_period)
        else:
            self._subscriptions_kept.append(self._subscribe_to_input())
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(TICK_PERIOD, self._on_tick, clock=steady)

    def _create_stage(self) -> Stage:
        plugin = self._parameter('plugin', '')
        if not isinstance(plugin, str) or not plugin:
            raise PluginError(
                f'found {short_repr(plugin)}; allowed: module:Class on the Python path'
            )
        stage_class = load_stage_class(plugin)
        self._check_names(stage_class)
        return stage_class().bind(
            self._table('params'),
            {name: ContextBuffer(qos.CONTEXT_DEPTH) for name in stage_class.contexts},
            stage_logger(self.get_name(), self.log),
            make_topics(self, stage_class.topics),
        )

    def _check_names(self, stage_class: type[Stage]) -> None:
        """Raise ParameterError for parameters that nothing would read."""
        problems = []
        for name in self.get_parameters_by_prefix(''):
            head, dot, _ = name.partition('.')
            if (head in TABLES and dot) or name in OWN_PARAMETERS or head in NODE_PARAMETERS:
                continue
            known = [*OWN_PARAMETERS, *(f'params.{each}' for each in stage_class.parameters)]
            wanted = f'params.{name}'
            hint = f'did you mean {wanted!r}?' if wanted in known else did_you_mean(name, known)
            problems.append(f'{name}: no parameter of a worker; {hint}')
        if problems:
            raise ParameterError(problems)

    def _parameter(self, name: str, default: Any) -> Any:
        return self.get_parameter_or(name).value if self.has_parameter(name) else default

    def _table(self, name: str) -> Mapping[str, Any]:
        return {key: each.value for key, each in self.get_parameters_by_prefix(name).items()}

    def _subscribe_to_contexts(self) -> list[MatchedSubscription]:
        topics = self._table('context')
        profile = qos.reliable(qos.CONTEXT_DEPTH)
        return [
            MatchedSubscription(self, kind, topics[name], self.stage.context[name].add, profile)
            for name, kind in type(self.stage).contexts.items()
            if name in topics
        ]

    def _subscribe_to_input(self) -> MatchedSubscription:
        profile = qos.reliable(QUEUE_SIZE)
        return MatchedSubscription(
            self, self._input_type, 'input', self._on_item, profile, raw=True
        )

    def _on_tick(self) -> None:
        now = time.monotonic()
        self._throttled.tick(now)
        for each in self._subscriptions_kept:
            each.tick(now)

    # -- items in, answers out -------------------------------------------------------------------

    def _on_period(self) -> None:
        now, steady = read_clocks(self.get_clock())
        if self._ticks.is_simulated and not now:
            return  # /clock has shown no time yet
        if self._ticks.epoch is None or (now < self._ticks.last - CLOCK_JUMP and steady is None):
            self._ticks.reset()  # simulated time was set back
            self._ticks.begin(now)
        self._ticks.come_due()
        tick = self._ticks.next(now, steady)
        if tick is not None:
            self._on_item(tick_at(*tick))

    def _on_item(self, item: bytes) -> None:
        if len(self.runner.unanswered) >= QUEUE_SIZE:
            self._throttled.warning('dropped', str, 'dropped an item: the stage is too slow')
            return
        self._last_number += 1
        self.runner.enqueue(self._last_number, item)

    def publish_answer(self, answer: Answer) -> None:
        """Publish an output, or log why there is none."""
        if answer.kind == answers.OUTPUT:
            self._output.publish(answer.output)
        elif answer.kind == answers.REFUSED:
            self._throttled.error('refused', f'refused an item: {answer.text}')
        elif answer.kind == answers.END_OF_STREAM:
            self._ticks.exhausted = True
            self.get_logger().info('the stream has ended')

    # -- hooks -----------------------------------------------------------------------------------

    def run_hooks(self, *hooks: Callable[[], None]) -> bool:
        """Call hooks of the stage until one fails; log its exception. Return whether none has."""
        for hook in hooks:
            try:
                hook()
            except (BdbQuit, StopRequestedError):
                raise
            except BaseException as error:
                name = getattr(hook, '__name__', 'a hook')
                self.log.error(f'{name} failed:\n{traceback_text(error)}')
                return False
        return True

    # -- item tracker, codec -----------------------------------------------------------------------

    def start_item(self, number: int) -> None:
        """Record nothing: only a manager asks which item is being processed."""

    def finish_item(self) -> None:
        """Record nothing, as above."""

    def deserialize(self, item: bytes) -> Any:
        """Return an input message."""
        return deserialize_message(item, self._input_type)

    def serialize(self, message: Any) -> bytes:
        """Return an output message's bytes."""
        return bytes(serialize_message(message))

    def prepare(self) -> None:
        """Do nothing: no part of the next item can be prepared."""


def run_standalone(arguments: Sequence[str]) -> int:
    """Run one stage until Ctrl-C; ``arguments`` as in ``sys.argv``. Return the exit code.

    Exit code 0: interrupted; 1: a hook raised, or nothing was started for a cause that may pass;
    2: bad plugin, parameters or arguments, nothing was started; 70: an item failed, and the class
    has restart_on_error.
    """
    try:
        forbid_abstract_sockets()
        settings = dds.apply_defaults(package_share() / 'config')
    except (OSError, ValueError) as error:
        print(f'worker: {error}; nothing was started', file=sys.stderr)
        return EXIT_CANNOT_START if isinstance(error, OSError) else EXIT_BAD_CONFIGURATION
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _request_stop)
    try:
        node = _create_node(arguments, settings)
    except (PluginError, ParameterError) as error:
        key = 'plugin' if isinstance(error, PluginError) else 'params'
        print(f'worker: {key}: {error}', file=sys.stderr)
        rclpy.shutdown()
        may_pass = is_transient(error) or file_may_appear(error)
        return EXIT_CANNOT_START if may_pass else EXIT_BAD_CONFIGURATION
    except StopRequestedError:
        raise
    except Exception as error:  # rclpy raises many classes for bad arguments
        print(f'worker: {describe_ros_error(error)}; nothing was started', file=sys.stderr)
        rclpy.try_shutdown()
        return EXIT_BAD_CONFIGURATION if is_bad_argument(error) else EXIT_CANNOT_START
    executor = create_executor()
    executor.add_node(node)
    spinner: Spinner | None = None
    try:
        if not node.run_hooks(node.stage.configure, node.stage.activate):
            return EXIT_HOOK_FAILED
        node.runner.accepting = True
        spinner = Spinner(executor)
        node.get_logger().info(f'{type(node.stage).__name__} is active')
        node.runner.run()
    except StopRequestedError:
        if not node.run_hooks(node.stage.deactivate, node.stage.cleanup):
            return EXIT_HOOK_FAILED
    except StageFailedError as error:
        print(f'worker: {error}', file=sys.stderr)
        return EXIT_STAGE_FAILED
    finally:
        if spinner is not None:
            spinner.close(1.0)
        node.destroy_node()
        rclpy.shutdown()
    return 0


def _create_node(arguments: Sequence[str], settings: dds.Settings | None) -> StandaloneWorker:
    """Return the node, on the pipeline's transports: a killed process cannot block them."""
    if dds.may_use_shared_memory(settings):
        shared_memory.remove_unfinished_ports()
    with contextlib.ExitStack() as transports:
        if settings is not None:
            number = dds.manager_number()
            transports.enter_context(dds.participant(settings.common, settings.manager, number))
        rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
        return StandaloneWorker()
