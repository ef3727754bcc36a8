# SPDX-License-Identifier: Apache-2.0
"""Finds processes by a mark in their environment, also orphans."""

from __future__ import annotations

import os

import psutil

MARK = 'WORKER_PIPELINE_TEST_MARK'


def find_marked(mark: str) -> list[psutil.Process]:
    """Return the live processes with a mark, except this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            if process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
