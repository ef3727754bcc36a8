"""A ROS domain for each test, so that none hears another, nor another run of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

# Domains from 0 to 101 use ports below the range that the kernel gives out by itself (Linux). Those
# below 20 are left to who chooses one by hand, and to the mission.
DOMAINS = range(20, 100)


@contextlib.contextmanager
def own_domain(domains: Iterable[int] = DOMAINS) -> Iterator[int]:
    """One of ``domains`` that no other test on this machine uses, for as long as the context lasts.

    And for as long as any process lives that was started within it with ``close_fds=False``: what
    a test has left behind, as it was killed itself, keeps the domain that it talks in.

    Raises RuntimeError when all of them are in use.
    """
    for domain in domains:
        lock = Path(tempfile.gettempdir()) / f'worker_pipeline_test_domain_{domain}'
        with lock.open('w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            os.set_inheritable(file.fileno(), True)
            yield domain
            return
    raise RuntimeError('every test domain is in use')
