# SPDX-License-Identifier: Apache-2.0
"""The services of a stage: ``flush`` drops what is queued, ``drain`` waits until it is finished."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rclpy.callback_groups import ReentrantCallbackGroup
from std_srvs.srv import Trigger

from worker_pipeline.ros.lifecycle import ManagedNode


def open_stage_services(
    node: ManagedNode, stage: str, flush: Callable[[], int], drain: Callable[[], Awaitable[str]]
) -> None:
    """Create the services of a stage.

    Args:
        node: The stage's.
        stage: Its name.
        flush: Drops what is queued; returns how many items that were.
        drain: Waits until all that is there now is finished; returns why it is not, or ''.
    """

    def serve_flush(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, f'dropped {flush()} items'
        return response

    async def serve_drain(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        left = await drain()
        response.success, response.message = not left, left or 'drained'
        return response

    # Callback groups of their own: a call that waits for a drain delays nothing else.
    for label, serve in (('flush', serve_flush), ('drain', serve_drain)):
        node.create_service(
            Trigger, f'{stage}/{label}', serve, callback_group=ReentrantCallbackGroup()
        )
