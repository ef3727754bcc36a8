"""Imported once by the fork server, so that every worker is born with it.

The first line matters most: it takes the fork server, and with it every worker, out of the
manager's process group. A Ctrl-C or a signal to the group then reaches the manager alone, which
drains the pipeline and stops the workers in order, instead of all of them dying at once.
"""

import contextlib
import gc
import os

with contextlib.suppress(OSError):
    os.setpgid(0, 0)

import rclpy
import rclpy.lifecycle
import rclpy.serialization

import worker_pipeline.nodes.worker  # noqa: F401
from worker_pipeline.nodes import type_supports
from worker_pipeline.runtime.proc import call_this_process

with contextlib.suppress(ImportError):
    import rclpy.experimental  # noqa: F401

call_this_process('fork server')
type_supports.load()
# It stays as long as we live. To look through it for garbage would take time in each worker, and
# make its memory the worker's own.
gc.freeze()
