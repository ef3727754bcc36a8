# SPDX-License-Identifier: Apache-2.0
"""A ROS domain for each test, so that tests do not receive each other's messages."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

# Domains from 0 to 101 use ports below the range from which Linux assigns ports. Those below 20 are
# left to people, and to the mission.
DOMAINS = range(20, 100)


@contextlib.contextmanager
def isolated_domain(domains: Iterable[int] = DOMAINS) -> Iterator[int]:
    """Reserve one of ``domains`` on this machine, and return it.

    The reservation ends with the context, or with the last process that was started in it with
    ``close_fds=False``: processes that a killed test has left behind keep their domain to
    themselves.

    Raises RuntimeError if all of them are reserved.
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
    raise RuntimeError('every test domain is reserved')
