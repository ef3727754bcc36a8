# SPDX-License-Identifier: Apache-2.0
"""A lifecycle node that works before it is in the graph: to create it takes some 10 ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.logging import get_logger

from worker_pipeline.ros.lifecycle import ManagedNode


class LateNode(ManagedNode):
    """Has a name, a logger and a clock from the start, and all else from ``join_graph`` on.

    Args:
        name: The node's.
        namespace: Its namespace.
        clock: The clock until then.
    """

    def __init__(self, name: str, namespace: str, clock: Any) -> None:
        self.is_in_graph = False
        self._identity = name, namespace
        self._early_clock = clock
        self._logger = get_logger(self.get_fully_qualified_name().strip('/').replace('/', '.'))

    def join_graph(self, arguments: Sequence[str], *, use_sim_time: bool) -> None:
        """Create the node.

        Args:
            arguments: Of ROS, for this node.
            use_sim_time: As in ``ManagedNode``.
        """
        name, namespace = self._identity
        super().__init__(
            name,
            namespace=namespace,
            use_global_arguments=False,
            cli_args=list(arguments),
            use_sim_time=use_sim_time,
        )
        self.is_in_graph = True

    def get_fully_qualified_name(self) -> str:
        name, namespace = self._identity
        return f'{namespace}/{name}'

    def get_clock(self) -> Any:
        return super().get_clock() if self.is_in_graph else self._early_clock

    @property
    def state(self) -> str:
        return super().state if self.is_in_graph else 'unconfigured'
