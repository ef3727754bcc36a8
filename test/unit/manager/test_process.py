# SPDX-License-Identifier: Apache-2.0
"""The manager's process, between the adoption of workers and its node."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from worker_pipeline.manager.process import _Pipeline


class Executor:
    """Keeps tasks until it spins."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Any, ...]] = []

    def create_task(self, *task: Any) -> None:
        self.tasks.append(task)

    def spin(self) -> None:
        for call, *arguments in self.tasks:
            call(*arguments)
        self.tasks.clear()


def test_an_exit_before_there_is_a_node_is_handled_when_there_is_one():
    """A worker that dies just after it was adopted would never be replaced."""
    unused: Any = None
    settings: Any = object()  # not the user's own
    pipeline, executor = _Pipeline(settings, unused, unused), Executor()
    pipeline._executor = executor
    pipeline.on_exit(5, 'killed by SIGKILL')
    pipeline.on_left_behind(5, 'a process', 1)
    seen: list[tuple[Any, ...]] = []
    node: Any = SimpleNamespace(
        on_exit=lambda *each: seen.append(each), on_left_behind=lambda *each: seen.append(each)
    )
    pipeline._node = node
    executor.spin()
    assert seen == [(5, 'killed by SIGKILL'), (5, 'a process', 1)]
