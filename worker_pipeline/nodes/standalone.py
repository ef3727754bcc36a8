"""A worker started alone, by hand: one stage in the foreground, as a debugger wants it.

No manager, no other process: items come from the topic ``input`` or, for a source, every
``period``; answers go to ``output``. The stage's code runs on the main thread, as in any worker. An
item that fails is logged with its traceback, and is gone.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.signals import SignalHandlerOptions

from worker_pipeline.context import ContextBuffer
from worker_pipeline.exit_codes import EXIT_BAD_CONFIGURATION, EXIT_STAGE_FAILED
from worker_pipeline.nodes import qos
from worker_pipeline.nodes.executor import Spinner, create_executor
from worker_pipeline.nodes.matched_subscription import MatchedSubscription
from worker_pipeline.nodes.source import TickSource, read_clocks
from worker_pipeline.nodes.stage_logger import stage_logger
from worker_pipeline.nodes.stage_topics import make_topics
from worker_pipeline.parameter import ParameterError, shown
from worker_pipeline.runtime import answers
from worker_pipeline.runtime.answers import Answer, RecentAnswers
from worker_pipeline.runtime.plugins import PluginError, load_stage_class
from worker_pipeline.runtime.stage_runner import StageFailedError, StageRunner
from worker_pipeline.stage import Stage

# Items that may wait; the newest go when there are more.
ROOM = 10


class StandaloneWorker(Node):  # type: ignore[misc]
    """The node. Parameters: ``plugin``, ``period``, and the tables ``params`` and ``context``.

    Raises PluginError and ParameterError.
    """

    def __init__(self) -> None:
        super().__init__(
            'worker',
            namespace='/airside',
            allow_undeclared_parameters=True,
            automatically_declare_parameters_from_overrides=True,
        )
        plugin = self._given('plugin', '')
        if not isinstance(plugin, str) or not plugin:
            raise PluginError(f'found {shown(plugin)}; allowed: module:Class on the Python path')
        stage_class = load_stage_class(plugin)
        self.stage: Stage = stage_class()
        topics = self._table('context')
        buffers = {name: ContextBuffer(qos.CONTEXT_DEPTH) for name in stage_class.contexts}
        self.stage.bind(
            self._table('params'),
            buffers,
            stage_logger(self),
            make_topics(self, stage_class.topics),
        )
        self.runner = StageRunner(self.stage, self, self, RecentAnswers(1), self.say)
        self._input_type = stage_class.input_type
        self._number = 0
        self._output = self.create_publisher(stage_class.output_type, 'output', qos.reliable(ROOM))
        self._kept = [
            MatchedSubscription(
                self, stage_class.contexts[name], topics[name], buffer.add, qos.reliable(1000)
            )
            for name, buffer in buffers.items()
            if name in topics
        ]
        self._source = TickSource(float(self._given('period', 0.0)))
        if self._source.period > 0:
            self._source.begin(self.get_clock().now().nanoseconds)
            self.create_timer(self._source.period, self._on_period)
        else:
            self._kept.append(
                MatchedSubscription(
                    self, self._input_type, 'input', self._offer, qos.reliable(ROOM), raw=True
                )
            )

    def _given(self, name: str, default: Any) -> Any:
        return self.get_parameter_or(name).value if self.has_parameter(name) else default

    def _table(self, name: str) -> Mapping[str, Any]:
        return {key: each.value for key, each in self.get_parameters_by_prefix(name).items()}

    def _on_period(self) -> None:
        self._source.come_due()
        tick = self._source.next(*read_clocks(self.get_clock()))
        if tick is not None:
            self._offer(tick[1])

    def _offer(self, item: bytes) -> None:
        if len(self.runner.holding) >= ROOM:
            self.get_logger().warning('too slow: an item is dropped', throttle_duration_sec=1.0)
            return
        self._number += 1
        self.runner.offer(self._number, item)

    def say(self, answer: Answer) -> None:
        """Publish an answer, or tell that there is none."""
        if answer.kind == answers.OUTPUT:
            self._output.publish(answer.output)
        elif answer.kind == answers.REFUSED:
            self.get_logger().error(f'an item is refused: {answer.text}')
        elif answer.kind == answers.END_OF_STREAM:
            self._source.exhausted = True
            self.get_logger().info('the stream has ended')

    # What the runner needs of a worker.

    def begin(self, number: int) -> None:
        """An item is in work."""

    def end(self) -> None:
        """It is not any more."""

    def deserialize(self, item: bytes) -> Any:
        """An input message."""
        return deserialize_message(item, self._input_type)

    def serialize(self, message: Any) -> bytes:
        """An output message's bytes."""
        return bytes(serialize_message(message))

    def prepare(self) -> None:
        """Nothing can be done before the next item is there."""


def run_standalone(arguments: Sequence[str]) -> int:
    """Run one worker until Ctrl-C; ``arguments`` as in ``sys.argv``.

    Exit code 0: interrupted; 1: a hook raised; 2: bad plugin or parameters, nothing was started;
    70: an item failed, and the class has restart_on_error.
    """
    rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        node = StandaloneWorker()
    except (PluginError, ParameterError) as error:
        what = 'plugin' if isinstance(error, PluginError) else 'params'
        print(f'worker: {what}: {error}', file=sys.stderr)
        rclpy.shutdown()
        return EXIT_BAD_CONFIGURATION
    stage = node.stage
    executor = create_executor()
    executor.add_node(node)
    spinner: Spinner | None = None
    code = 0
    try:
        stage.configure()
        stage.activate()
        node.runner.accepting = True
        spinner = Spinner(executor)
        node.get_logger().info(f'{type(stage).__name__} is at work')
        node.runner.run()
    except KeyboardInterrupt:
        stage.deactivate()
        stage.cleanup()
    except StageFailedError as error:
        print(f'worker: {error}', file=sys.stderr)
        code = EXIT_STAGE_FAILED
    finally:
        if spinner is not None:
            spinner.close(1.0)
        node.destroy_node()
        rclpy.shutdown()
    return code
