# SPDX-License-Identifier: Apache-2.0
"""The heaps of the C library."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Allocates in many threads at once, outside Python's own pools, and prints the number of heaps.
ALLOCATE = """
import ctypes, sys, tempfile, threading
from worker_pipeline.system.malloc import use_default_arenas, use_one_arena
if sys.argv[1] != 'none':
    assert use_one_arena()
if sys.argv[1] == 'default':
    assert use_default_arenas()
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


@pytest.mark.parametrize('limit', ['one', 'none', 'default'])
def test_threads_share_one_heap(limit):
    """Without the limit they do not: the test of the test."""
    command = [sys.executable, '-c', ALLOCATE, limit]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert (int(found.stdout) == 1) == (limit == 'one'), found.stdout
