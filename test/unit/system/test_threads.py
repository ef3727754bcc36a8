# SPDX-License-Identifier: Apache-2.0
"""The limit of library threads in a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from worker_pipeline.system import threads

pytestmark = pytest.mark.slow  # most of these start a Python process

PROBE = """
import json, os, sys
for name in {before!r}:
    __import__(name)
from worker_pipeline.system.threads import limit_threads, thread_limit
limit_threads({limit}, is_default={is_default})
for name in {after!r}:
    __import__(name)
found = {{'limit': thread_limit()}}
if 'cv2' in sys.modules:
    found['cv2'] = sys.modules['cv2'].getNumThreads()
if 'numpy' in sys.modules:
    import threadpoolctl
    found['blas'] = [each['num_threads'] for each in threadpoolctl.threadpool_info()]
print(json.dumps(found))
"""


def found_with(limit, before=(), after=(), *, is_default=True, environment=None):
    """Return the threads in a process that imports some libraries before the limit, some after."""
    inherited = {name: each for name, each in os.environ.items() if name not in threads.VARIABLES}
    code = PROBE.format(before=before, after=after, limit=limit, is_default=is_default)
    done = subprocess.run(
        [sys.executable, '-c', code],
        env=inherited | (environment or {}),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ('workers', 'cores', 'share'), [(1, 4, 4), (2, 4, 2), (3, 4, 1), (8, 4, 1), (2, 2, 1)]
)
def test_the_workers_of_a_stage_share_the_cores(workers, cores, share):
    assert threads.thread_share(workers, cores) == share


def test_it_holds_for_libraries_that_are_imported_later():
    pytest.importorskip('cv2')
    assert found_with(3, after=['cv2'])['cv2'] == 3


def test_it_holds_for_libraries_that_were_imported_before():
    """As those in the fork server."""
    pytest.importorskip('cv2')
    pytest.importorskip('threadpoolctl')
    found = found_with(1, before=['numpy', 'cv2'])
    assert found['cv2'] == 1
    assert set(found['blas']) <= {1}


@pytest.mark.parametrize(('limit', 'settings'), [(2, []), (1, [1])])
def test_a_library_that_keeps_the_limit_already_is_left_alone(monkeypatch, limit, settings):
    """OpenBLAS 0.3.31 starts threads that spin when it is set after a fork."""
    calls: list[int] = []
    pool = SimpleNamespace(internal_api='openblas', num_threads=2, set_num_threads=calls.append)
    monkeypatch.setattr(threads, 'find_thread_pools', lambda: [pool])
    threads.limit_threads(limit, is_default=False, environment={})
    assert calls == settings


def test_the_users_own_variable_wins_over_the_default():
    assert found_with(1, environment={'OMP_NUM_THREADS': '3'})['limit'] == 3
    pytest.importorskip('cv2')
    found = found_with(1, ['cv2'], environment={'OPENCV_FOR_THREADS_NUM': '2'})
    assert (found['limit'], found['cv2']) == (1, 2)


def test_a_configured_limit_wins_over_the_users_variable():
    found = found_with(2, is_default=False, environment={'OMP_NUM_THREADS': '3'})
    assert found['limit'] == 2


@pytest.mark.parametrize('value', ['', '0', 'all', '-1'])
def test_a_variable_that_is_no_number_is_no_limit(value):
    environment = {'OMP_NUM_THREADS': value}
    assert threads.chosen_limit(2, is_default=True, environment=environment) == 2


def test_without_a_limit_all_cores_are_used(monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    assert threads.thread_limit() == threads.available_cores() >= 1
