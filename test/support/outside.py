"""How a node that stands outside the pipeline, and is to outlive all that is killed, talks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

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
    ours = {dds.RANGE: 'LOCALHOST', dds.profile_variable(): str(COMMON)}
    with (
        mock.patch.dict(os.environ, ours),
        dds.participant(str(COMMON), Transports(loopback=True)),
    ):
        yield
    if mapped_by('self'):
        # Profiles are read once in a process, before its first participant.
        raise RuntimeError('shared memory is used: another node of this process was made before')
