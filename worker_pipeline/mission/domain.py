"""A ROS domain that nobody on this machine uses."""

from __future__ import annotations

import os

from worker_pipeline.mission.ports import is_free

# RTPS: port of the discovery multicast of domain d is 7400 + 250 d (OMG DDSI-RTPS 2.3, 9.6.1.1).
_PORT_BASE, _PORT_GAIN = 7400, 250
_DOMAINS = tuple(range(1, 20))


def free_domain() -> int:
    """A domain whose discovery port is free; which one is tried first depends on the process.

    Raises RuntimeError if all are in use.
    """
    first = os.getpid() % len(_DOMAINS)
    for domain in [*_DOMAINS[first:], *_DOMAINS[:first]]:
        if is_free(_PORT_BASE + _PORT_GAIN * domain):
            return domain
    raise RuntimeError(f'every ROS domain from {_DOMAINS[0]} to {_DOMAINS[-1]} is in use')
