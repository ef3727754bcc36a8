# SPDX-License-Identifier: Apache-2.0
"""A journal on a disk that may be full, and pipelines without ROS and processes."""

from __future__ import annotations

from typing import Any

import pytest
from support.fake_nodes import FakeClock
from support.journal import disk, journal, path
from support.manager_clock import use_fake_clock
from support.offline_pipeline import OfflinePipeline, pipeline_config

from worker_pipeline.config import StageConfig

__all__ = ['disk', 'journal', 'path']


@pytest.fixture
def clock(monkeypatch) -> FakeClock:
    """The time in all modules of the manager."""
    return use_fake_clock(monkeypatch)


@pytest.fixture
def make(tmp_path, clock):
    """Makes a pipeline of these stages."""
    made: list[OfflinePipeline] = []

    def make_pipeline(
        *stages: StageConfig,
        plugins: Any = None,
        frame_limit: int = 0,
        first_starts: int = 100,
        **settings: Any,
    ) -> OfflinePipeline:
        folder = tmp_path / str(len(made))
        config = pipeline_config(*stages, **settings)
        made.append(
            OfflinePipeline(
                folder,
                clock,
                config,
                plugins,
                frame_limit,
                journal=config.journal,
                first_starts=first_starts,
            )
        )
        return made[-1]

    yield make_pipeline
    for each in made:
        each.journal.close()
