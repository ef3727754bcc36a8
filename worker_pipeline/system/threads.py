# SPDX-License-Identifier: Apache-2.0
"""The limit of a process's library threads: BLAS, OpenMP, OpenCV, torch and others.

Each of these starts a thread for every core by default, in every process. With N workers on N cores
that is N threads on each core, which take turns and spin while they wait for one another.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

try:
    import threadpoolctl
except ImportError:  # optional: without it a BLAS that is imported already keeps its threads
    threadpoolctl = None

# The variable that every OpenMP runtime reads, and most other libraries if their own is missing.
GENERAL = 'OMP_NUM_THREADS'
# Read when a library is imported or first used.
VARIABLES = (
    GENERAL,
    'OPENBLAS_NUM_THREADS',
    'MKL_NUM_THREADS',
    'BLIS_NUM_THREADS',
    'NUMEXPR_NUM_THREADS',
    'NUMBA_NUM_THREADS',
    'RAYON_NUM_THREADS',
    'TF_NUM_INTRAOP_THREADS',
    'OPENCV_FOR_THREADS_NUM',
)
# By the API that threadpoolctl names: the variable that a user sets for it.
_VARIABLE_OF = {
    'openblas': 'OPENBLAS_NUM_THREADS',
    'mkl': 'MKL_NUM_THREADS',
    'blis': 'BLIS_NUM_THREADS',
    'openmp': GENERAL,
}


def available_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def thread_share(workers: int, cores: int) -> int:
    """Return how many threads each of a stage's workers may use: its share of the cores.

    Args:
        workers: of the stage.
        cores: that they share.
    """
    return max(1, cores // max(1, workers))


def chosen_limit(limit: int, *, is_default: bool, environment: Mapping[str, str]) -> int:
    """Return the limit that holds: a default gives way to the user's ``OMP_NUM_THREADS``.

    Args:
        limit: the configured limit or the default.
        is_default: whether it is the default.
        environment: as the user has set it.
    """
    asked = environment.get(GENERAL, '').split(',')[0]  # one number for each level of nesting
    return int(asked) if is_default and asked.isdecimal() and int(asked) else limit


def limit_threads(
    limit: int, *, is_default: bool, environment: MutableMapping[str, str] = os.environ
) -> int:
    """Limit the threads of the libraries in this process, and return the limit.

    Libraries that are imported later read it from the environment; for those that are imported
    already it is set directly.

    Args:
        limit: threads that each library may use.
        is_default: whether the user's own variables take precedence over it.
        environment: the process's.
    """
    limit = chosen_limit(limit, is_default=is_default, environment=environment)
    kept = {name for name in VARIABLES if is_default and name in environment}
    environment.update({name: str(limit) for name in VARIABLES if name not in kept})
    # A library that cannot be limited still works: no error of it may cost the worker.
    with contextlib.suppress(Exception):
        _limit_pools(limit, kept)
    with contextlib.suppress(Exception):
        if 'cv2' in sys.modules and 'OPENCV_FOR_THREADS_NUM' not in kept:
            sys.modules['cv2'].setNumThreads(limit)
    with contextlib.suppress(Exception):
        if 'torch' in sys.modules and GENERAL not in kept:
            sys.modules['torch'].set_num_threads(limit)
    return limit


@functools.cache
def find_thread_pools() -> list[Any]:
    """Return the BLAS and OpenMP libraries that are loaded, as seen at the first call.

    The search takes 15 ms in a process with ROS 2. Call it before forking workers: each of them
    then knows the result. What is imported later reads the environment.
    """
    return [] if threadpoolctl is None else threadpoolctl.ThreadpoolController().lib_controllers


def _limit_pools(limit: int, kept: set[str]) -> None:
    """Limit the BLAS and OpenMP libraries that are loaded, apart from those with a variable."""
    for pool in find_thread_pools():
        is_kept = _VARIABLE_OF.get(pool.internal_api, GENERAL) in kept
        # Being set after a fork, OpenBLAS starts its threads, which spin for 0.1 s beside the start
        # of the worker (0.3.31, with any number). It is spared that where the limit holds already.
        if not is_kept and pool.num_threads != limit:
            pool.set_num_threads(limit)


def thread_limit() -> int:
    """Return how many threads a library in this process may use: the worker's limit, else all."""
    found = os.environ.get(GENERAL, '').split(',')[0]
    return int(found) if found.isdecimal() and int(found) else available_cores()
