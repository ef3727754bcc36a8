"""An observer on another machine of ``support.machines``, asked from here.

There it is a process, ``python -m support.distant``; here a proxy, made by ``distant_observer``.
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
from support.managing import python_path
from support.observing import Observer, header, number_of

KEY = b'worker_pipeline'


class DistantObserver(Observer):
    """What it has heard is told in numbers."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain)
        self._heard: dict[str, list[Any]] = {}

    def listen(self, topic: str) -> None:
        """Listen to a topic from now on."""
        self._heard[topic] = self.collect(topic)

    def heard(self, topic: str) -> list[int]:
        """Which items were heard, in the order in which they were."""
        return [number_of(each) for each in self._heard[topic]]

    def publish(self, topic: str, numbers: Iterable[int]) -> None:
        """Publish items."""
        self.feed(topic, map(header, numbers))


class _Office(BaseManager):
    pass


@contextlib.contextmanager
def distant_observer(
    machine: Machine, domain: int, directory: Path, environment: Mapping[str, str]
) -> Iterator[Any]:
    """An observer on a machine: it has a ``DistantObserver``'s methods."""
    address = directory / machine.name
    process = subprocess.Popen(
        [*machine.inside, sys.executable, '-m', 'support.distant', str(address), str(domain)],
        env=os.environ | {'PYTHONPATH': python_path()} | dict(environment),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == 'ready\n', f'no observer on {machine.name}'
        _Office.register('observer')
        office = _Office(str(address), KEY)
        office.connect()
        yield office.observer()
    finally:
        process.kill()
        process.communicate()


def _serve(address: str, domain: int) -> None:
    observer = DistantObserver(domain)
    _Office.register('observer', lambda: observer)
    server = _Office(address, KEY).get_server()
    print('ready', flush=True)
    server.serve_forever()


if __name__ == '__main__':
    _serve(sys.argv[1], int(sys.argv[2]))
