# SPDX-License-Identifier: Apache-2.0
"""What a launch does when the manager has ended; the launch packages are stood in for."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace
from unittest import mock

import pytest

from worker_pipeline.exit_codes import PERMANENT

LAUNCH = (
    'launch',
    'launch.action',
    'launch.actions',
    'launch.event_handlers',
    'launch.events',
    'launch.events.process',
    'launch.substitutions',
    'launch_ros',
    'launch_ros.actions',
)
ACTIONS = 'worker_pipeline.launching.actions'


@pytest.fixture
def after_exit(monkeypatch):
    """The handler of the manager's exit: given an exit code, it returns actions, or raises."""
    for name in LAUNCH:
        monkeypatch.setitem(sys.modules, name, mock.MagicMock())
    monkeypatch.delitem(sys.modules, ACTIONS, raising=False)
    handle = importlib.import_module(ACTIONS)._after_exit
    yield lambda code: handle(SimpleNamespace(returncode=code), mock.MagicMock())
    sys.modules.pop(ACTIONS, None)


@pytest.mark.parametrize('code', sorted(PERMANENT))
def test_a_permanent_exit_code_makes_the_launch_fail(after_exit, code):
    """Also with ``respawn``, which heeds no exit codes: launch shuts down on the exception."""
    with pytest.raises(RuntimeError, match=r'the manager cannot run .*; nothing was started'):
        after_exit(code)


def test_a_clean_exit_shuts_the_launch_down(after_exit):
    """One action: the shutdown."""
    assert len(after_exit(0)) == 1


@pytest.mark.parametrize('code', [1, 71, -9, -6])
def test_every_other_exit_is_left_to_respawn(after_exit, code):
    """No action: the launch continues, and launch_ros starts the manager again if it is to."""
    assert after_exit(code) == []
