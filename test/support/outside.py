"""How a node that stands outside the pipeline, and is to outlive all that is killed, talks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from worker_pipeline.runtime import dds
from worker_pipeline.runtime.dds_profile import Transports
from worker_pipeline.runtime.shared_memory import mapped_by

COMMON = Path(__file__).parents[2] / 'config' / 'fastdds.xml'


@contextlib.contextmanager
def without_shared_memory() -> Iterator[None]:
    """Have the participant made within the context use UDP on this machine alone.

    A manager that is killed while it holds a lock in shared memory may leave whoever else uses it
    waiting for good, in native code. What is to be seen is what happens to the pipeline.
    """
    profile = dds.profile_variable()
    before = {name: os.environ.get(name) for name in (dds.RANGE, profile)}
    os.environ |= {dds.RANGE: 'LOCALHOST', profile: str(COMMON)}
    try:
        with dds.participant(str(COMMON), Transports(loopback=True)):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    if mapped_by('self'):
        # Profiles are read once in a process, before its first participant.
        raise RuntimeError('shared memory is used: another node of this process was made before')
