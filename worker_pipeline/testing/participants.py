# SPDX-License-Identifier: Apache-2.0
"""DDS participants of tests, which survive every kill of a process beside them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from unittest import mock

from worker_pipeline.ros import dds
from worker_pipeline.ros.package_share import package_share


@contextlib.contextmanager
def by_udp() -> Iterator[None]:
    """Give a participant that is created within the context the pipeline's DDS settings."""
    with mock.patch.dict(os.environ):
        settings = dds.apply_defaults(package_share() / 'config')
        if settings is None:
            yield
        else:
            with dds.participant(settings.common, settings.worker):
                yield
