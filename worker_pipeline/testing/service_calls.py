# SPDX-License-Identifier: Apache-2.0
"""Calls of services that are repeated if no response comes."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from worker_pipeline.testing.waiting import WaitTimeoutError, wait_for

RESPONSE_TIMEOUT = 3.0  # s
MAX_CALLS = 20


class ServiceCalls:
    """Calls services from a node that is spun elsewhere.

    rmw_fastrtps drops a response if it has not discovered the client's reader within 0.1 s, which
    happens to clients that call as soon as they have discovered the service. On a busy machine a
    response may just be late.

    Args:
        node: The node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clients: dict[str, Any] = {}
        self._pending: dict[str, list[Any]] = {}  # by service, since its last response

    def client(self, service: Any, name: str) -> Any:
        """Return the client of a service, which is made for its first call."""
        if name not in self._clients:
            self._clients[name] = self._node.create_client(service, name)
        return self._clients[name]

    def call(self, service: Any, name: str, request: Any) -> Any:
        """Call a service until there is a response, and return it.

        Args:
            service: The service class.
            name: The name of the service.
            request: An instance of ``service.Request``.

        Raises:
            WaitTimeoutError: If there is no such service, or none of many calls had a response.
        """
        while True:
            response = self.try_call(service, name, request)
            if response is not None:
                return response

    def try_call(self, service: Any, name: str, request: Any) -> Any:
        """Call a service, and return the first response to this or an earlier try; None for none.

        Args:
            service: The service class.
            name: The name of the service.
            request: An instance of ``service.Request``.
        """
        client = self.client(service, name)
        wait_for(client.service_is_ready, f'the service {name}')
        tries = self._pending.setdefault(name, [])
        if len(tries) >= MAX_CALLS:
            raise WaitTimeoutError(f'no response from {name}, called {MAX_CALLS} times')
        tries.append(client.call_async(request))
        try:
            answered = wait_for(
                lambda: next((each for each in tries if each.done()), None),
                f'a response from {name}',
                RESPONSE_TIMEOUT,
            )
        except WaitTimeoutError:
            return None
        self.forget(name)
        return answered.result()

    def forget(self, name: str) -> None:
        """Ignore the responses to come from a service."""
        for each in self._pending.pop(name, []):
            self._clients[name].remove_pending_request(each)
