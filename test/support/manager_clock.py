# SPDX-License-Identifier: Apache-2.0
"""A fake clock in place of the time in all modules of the manager."""

from __future__ import annotations

import pytest

from support.fake_nodes import FakeClock
from worker_pipeline.manager import (
    action_runner,
    answer_handler,
    input_stamps,
    node,
    output_publisher,
    pauses,
    stage_inputs,
    stage_node,
    stage_workers,
)
from worker_pipeline.ros import lifecycle, tick
from worker_pipeline.system import clocks

MODULES = (
    action_runner,
    answer_handler,
    clocks,
    input_stamps,
    lifecycle,
    node,
    output_publisher,
    pauses,
    stage_inputs,
    stage_node,
    stage_workers,
    tick,
)


def use_fake_clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Replace the module ``time`` in them; return what stands for it."""
    found = FakeClock()
    for module in MODULES:
        monkeypatch.setattr(module, 'time', found)
    return found
