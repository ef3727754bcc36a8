"""Imported once by the fork server, so that every worker is born with it.

The first line matters most: it takes the fork server, and with it every worker, out of the
manager's process group. A Ctrl-C or a signal to the group then reaches the manager alone, which
drains the pipeline and stops the workers in order, instead of all of them dying at once.
"""

import contextlib
import os

with contextlib.suppress(OSError):
    os.setpgid(0, 0)

import rclpy
import rclpy.lifecycle
import rclpy.serialization
import std_msgs.msg  # noqa: F401

import worker_pipeline.nodes.worker  # noqa: F401

with contextlib.suppress(ImportError):
    import rclpy.experimental  # noqa: F401
