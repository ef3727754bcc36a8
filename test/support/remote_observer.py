# SPDX-License-Identifier: Apache-2.0
"""An observer on another machine of ``support.machines``.

It runs there as a process, ``python -m support.remote_observer``; here ``remote_observer`` returns
a proxy of it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

from support.machines import Machine
from support.manager_process import python_path
from support.observer import Observer, header, number_of

KEY = b'worker_pipeline'


class RemoteObserver(Observer):
    """An observer with plain numbers as results."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain)
        self._received: dict[str, list[Any]] = {}

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic."""
        self._received[topic] = self.collect(topic)

    def received(self, topic: str) -> list[int]:
        """Return the numbers of the items received so far, in order."""
        return [number_of(each) for each in self._received[topic]]

    def publish(self, topic: str, numbers: Iterable[int]) -> None:
        """Publish items."""
        self.feed(topic, map(header, numbers))


class _Server(BaseManager):
    pass


@contextlib.contextmanager
def remote_observer(
    machine: Machine, domain: int, directory: Path, environment: Mapping[str, str]
) -> Iterator[Any]:
    """Yield a proxy of a ``RemoteObserver`` on a machine.

    Args:
        machine: The machine.
        domain: The ROS domain.
        directory: Where its socket is created.
        environment: Additional environment variables.
    """
    address = directory / machine.name
    process = subprocess.Popen(
        [
            *machine.inside,
            sys.executable,
            '-m',
            'support.remote_observer',
            str(address),
            str(domain),
        ],
        env=os.environ | {'PYTHONPATH': python_path()} | dict(environment),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == 'ready\n', f'no observer on {machine.name}'
        _Server.register('observer')
        server = _Server(str(address), KEY)
        server.connect()
        yield server.observer()  # type: ignore[attr-defined]
    finally:
        process.kill()
        process.communicate()


def _serve(address: str, domain: int) -> None:
    observer = RemoteObserver(domain)
    _Server.register('observer', lambda: observer)
    server = _Server(address, KEY).get_server()
    print('ready', flush=True)
    server.serve_forever()


if __name__ == '__main__':
    _serve(sys.argv[1], int(sys.argv[2]))
