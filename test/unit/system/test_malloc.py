# SPDX-License-Identifier: Apache-2.0
"""The heaps of the C library."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from worker_pipeline.system.fork_client import ForkServerClient

VARIABLES = ('MALLOC_ARENA_MAX', 'GLIBC_TUNABLES')
# Allocates in many threads at once, outside Python's own pools, and prints the number of heaps.
ALLOCATE = """
import ctypes, sys, tempfile, threading
from worker_pipeline.system.malloc import use_one_arena
if sys.argv[1] == 'one':
    assert use_one_arena() == (sys.argv[2] == 'set')
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.fopen.restype = ctypes.c_void_p
library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
library.fclose.argtypes = [ctypes.c_void_p]
together = threading.Barrier(8)
def allocate():
    together.wait()
    for _ in range(100):
        assert library.malloc(1000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
with tempfile.NamedTemporaryFile() as file:
    opened = library.fopen(file.name.encode(), b'w')
    library.malloc_info(0, opened)
    library.fclose(opened)
    print(file.read().count(b'<heap nr='))
"""


def heaps(limit, **variables):
    """The number of heaps. ``limit``: one or none."""
    command = [sys.executable, '-c', ALLOCATE, limit, 'kept' if variables else 'set']
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    found = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment | variables,
    )
    return int(found.stdout)


@pytest.mark.parametrize('limit', ['one', 'none'])
def test_threads_share_one_heap(limit):
    """Without the limit they do not: the test of the test."""
    assert (heaps(limit) == 1) == (limit == 'one')


@pytest.mark.parametrize(
    ('name', 'value'), [('MALLOC_ARENA_MAX', '3'), ('GLIBC_TUNABLES', 'glibc.malloc.arena_max=3')]
)
def test_the_number_that_a_user_has_set_stays(name, value):
    assert 1 < heaps('one', **{name: value}) <= 3


def test_threads_of_processes_from_a_fork_server_without_a_guardian_share_one(
    tmp_path, monkeypatch
):
    """It is a new interpreter, which inherits no setting."""
    for each in VARIABLES:
        monkeypatch.delenv(each, raising=False)
    found = tmp_path / 'found'
    begin = f"import sys; sys.argv = ['', 'none']; sys.stdout = open({str(found)!r}, 'w')\n"
    (tmp_path / 'counts_heaps.py').write_text(f'{begin}{ALLOCATE}sys.stdout.close()\n')
    monkeypatch.syspath_prepend(tmp_path)
    client = ForkServerClient('counts_heaps')
    client.open()
    client.close()  # it imports all before it answers
    assert found.read_text() == '1\n'
