"""Processes that bear a mark in their environment, also those that have lost their parents."""

from __future__ import annotations

import os

import psutil

MARK = 'WORKER_PIPELINE_TEST_MARK'


def marked(mark: str) -> list[psutil.Process]:
    """Those that live and bear it, but for this one."""
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
