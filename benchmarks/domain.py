"""A ROS domain for each measuring process, so that none hears another."""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Not those of the tests (20 to 99), nor of the mission (1 to 19); and not above 101, where the
# ports of a domain are among those that the kernel gives out by itself (Linux).
DOMAINS = (100, 101)


@contextlib.contextmanager
def own_domain() -> Iterator[int]:
    """A domain that no other benchmark on this machine uses, as long as the context lasts."""
    for domain in DOMAINS:
        lock = Path(tempfile.gettempdir()) / f'worker_pipeline_benchmark_domain_{domain}'
        with lock.open('w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield domain
            return
    raise RuntimeError('every domain for benchmarks is in use')
