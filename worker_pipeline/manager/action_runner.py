# SPDX-License-Identifier: Apache-2.0
"""Carries out the dispatcher's actions: sends, publishes, asks sources, quarantines."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from worker_pipeline.core.dispatcher import Dispatcher
from worker_pipeline.core.dispatcher_actions import (
    AskSource,
    PublishOutput,
    QuarantineItem,
    ReportRejection,
    SendItem,
)
from worker_pipeline.manager.context_feed import ContextFeed
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.manager.quarantine_recorder import QuarantineRecorder
from worker_pipeline.manager.stage_node import StageNode


class ActionRunner:
    """Runs at the end of each event, before it is committed.

    Args:
        dispatcher: decides.
        outbox: holds back effects that must not happen before the event is committed.
        stages: the stages' nodes by name.
        quarantine: keeps items that failed too often.
        contexts: sends outputs to workers that have them as a context.
        on_error: logs an error of ours.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        outbox: Outbox,
        stages: Mapping[str, StageNode],
        quarantine: QuarantineRecorder,
        contexts: ContextFeed,
        on_error: Callable[[str], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._stages = stages
        self._quarantine = quarantine
        self._contexts = contexts
        self._slots = {name: stage.slots for name, stage in stages.items()}
        self._on_error = on_error
        self._run: dict[type[Any], Callable[[Any], None]] = {
            SendItem: self._send,
            PublishOutput: self._publish,
            AskSource: self._ask,
            QuarantineItem: self._keep,
            ReportRejection: self._report,
        }

    def collect(self) -> None:
        """Run the actions of the event that is ending, and those that they lead to."""
        dispatcher, run = self._dispatcher, self._run
        while dispatcher.actions:
            for action in dispatcher.take_actions():
                try:
                    run[type(action)](action)
                except Exception:  # the other actions are as important
                    self._on_error(f'internal error:\n{traceback.format_exc()}')
        if dispatcher.scheduled:
            self._outbox.then(dispatcher.dispatch_scheduled)

    def _send(self, action: SendItem) -> None:
        stage, worker, item = action
        send = self._stages[stage].slots[worker].channel.send
        self._outbox.after_commit(send, item.number, item.payload)

    def _publish(self, action: PublishOutput) -> None:
        self._stages[action.stage].publish(action.payload)
        self._contexts.send(action.stage, action.payload, self._slots)

    def _ask(self, action: AskSource) -> None:
        self._stages[action.stage].ticks.tick(time.monotonic())

    def _keep(self, action: QuarantineItem) -> None:
        node = self._stages[action.stage]
        node.get_logger().error(
            self._quarantine.put(
                action.stage,
                node.input_topic,
                node.plugin.input_type,
                action.item,
                node.exits.explain(action.cause),
                self._outbox,
            )
        )
        for worker in action.item.suspects:  # an item was the cause of their deaths
            if worker in node.slots:
                node.slots[worker].refund_restart(time.monotonic())

    def _report(self, action: ReportRejection) -> None:
        self._stages[action.stage].inputs.report_rejection(action.key, action.reason)
