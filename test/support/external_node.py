# SPDX-License-Identifier: Apache-2.0
"""DDS settings for a node outside the pipeline, which has to survive all kills."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from worker_pipeline.ros import dds
from worker_pipeline.ros.dds_profile import Transports
from worker_pipeline.ros.shared_memory import mapped_by

COMMON = Path(__file__).parents[2] / 'config' / 'fastdds.xml'


@contextlib.contextmanager
def without_shared_memory() -> Iterator[None]:
    """Make a participant created in the context use UDP on this machine only.

    A manager that is killed while it holds a lock in shared memory can block other processes for
    ever, in native code. The test observes the pipeline, and must not hang itself.
    """
    ours = {dds.RANGE: 'LOCALHOST', dds.profile_variable(): str(COMMON)}
    with (
        mock.patch.dict(os.environ, ours),
        dds.participant(str(COMMON), Transports(loopback=True)),
    ):
        yield
    if mapped_by('self'):
        # Profiles are read once in a process, before its first participant.
        raise RuntimeError('shared memory is used: another node of this process came earlier')
