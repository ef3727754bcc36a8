# SPDX-License-Identifier: Apache-2.0
"""The imports of the fork server, which all workers forked from it share."""

import contextlib
import gc

import rclpy
import rclpy.lifecycle
import rclpy.serialization

import worker_pipeline.worker.spare  # noqa: F401
from worker_pipeline.output.redirect import unshare_output
from worker_pipeline.ros import type_supports
from worker_pipeline.system.proc import set_process_name
from worker_pipeline.system.threads import find_thread_pools
from worker_pipeline.worker.random_seeds import seed_in_forks

with contextlib.suppress(ImportError):
    import rclpy.experimental  # noqa: F401

set_process_name('fork server')
unshare_output()
type_supports.load()
seed_in_forks()
with contextlib.suppress(Exception):  # a library that cannot be limited still works
    find_thread_pools()
# These objects stay for good. Traversing them for garbage would take time in every worker, and
# would copy the memory that they share.
gc.freeze()
