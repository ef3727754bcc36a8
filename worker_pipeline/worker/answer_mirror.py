# SPDX-License-Identifier: Apache-2.0
"""The topics ``result`` and ``outcome``, which show a worker's answers to observers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.protocol.worker_spec import WorkerSpec
from worker_pipeline.ros import qos
from worker_pipeline.ros.mirror_topic import MirrorTopic
from worker_pipeline.worker.outcome_message import outcome_message


class AnswerMirror:
    """Publishes answers that are sent over the channel, while anyone subscribes to them.

    Args:
        node: The worker's node.
        spec: The worker's spec.
        output_type: The stage's output type.
        materialize: Returns an output with its data, if that is in shared memory.
    """

    def __init__(
        self,
        node: Node,
        spec: WorkerSpec,
        output_type: Any,
        materialize: Callable[[bytes], bytes],
    ) -> None:
        self.has_observers = False  # as of the last `refresh`
        self._worker = spec.name
        self._materialize = materialize
        profile, peer = qos.work(spec.concurrency), node.get_namespace()
        self._result = MirrorTopic(node, output_type, f'{spec.slot}/result', profile, peer)
        self._outcome = MirrorTopic(node, DiagnosticStatus, f'{spec.slot}/outcome', profile, peer)

    def refresh(self) -> None:
        """Update ``has_observers``."""
        self._result.refresh()
        self._outcome.refresh()
        self.has_observers = self._result.has_observers or self._outcome.has_observers

    def publish(self, answer: Answer) -> None:
        """Publish an answer on the topic for its kind, if that has observers."""
        if answer.kind == answers.OUTPUT:
            if self._result.has_observers:
                self._result.publish(self._materialize(answer.output))
        elif self._outcome.has_observers:
            self._outcome.publish(outcome_message(self._worker, answer))
