# SPDX-License-Identifier: Apache-2.0
"""A ROS domain for each test, so that tests do not receive each other's messages."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from worker_pipeline.system.domain_lock import lock_domain

# Domains from 0 to 101 use ports below the range from which Linux assigns ports. Those below 20 are
# left to people, and to the mission.
DOMAINS = range(20, 100)


@contextlib.contextmanager
def isolated_domain(domains: Iterable[int] = DOMAINS) -> Iterator[int]:
    """Reserve one of ``domains`` on this machine, among all its users, and return it.

    The reservation ends with the context, or with the last process that was started in it with
    ``close_fds=False``: processes that a killed test has left behind keep their domain to
    themselves.

    Raises RuntimeError if all of them are reserved.
    """
    # Not from the first one each time: late messages of the last test may still be on their way.
    order = [*domains]
    begin = os.getpid() % max(1, len(order))
    for domain in [*order[begin:], *order[:begin]]:
        lock = lock_domain(domain)
        if lock is not None:
            with lock:
                lock.set_inheritable(True)
                yield domain
            return
    raise RuntimeError('every test domain is reserved')
