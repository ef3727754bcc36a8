# SPDX-License-Identifier: Apache-2.0
"""What of a dead worker's last lines belongs to its end."""

from __future__ import annotations

from collections.abc import Sequence

FATAL = 'Fatal Python error'  # of Python's fault handler
TIMEOUT = 'Timeout ('  # the same, by faulthandler.dump_traceback_later
TRACEBACK = 'Traceback (most recent call last)'
# Where the stage's own code ends, and that which calls it begins.
_CALLER = 'worker_pipeline/worker/'
MAX_REPORT = 12
MAX_OTHER = 5


def last_words(lines: Sequence[str]) -> list[str]:
    """Return the crash report at the end of a worker's output, or else its last few lines."""
    found = [line.rstrip() for line in lines if line.strip()]
    for index in range(len(found) - 1, -1, -1):
        if found[index].startswith((FATAL, TIMEOUT, TRACEBACK)):
            report = found[index:]
            kind = report[0]
            if kind.startswith(TRACEBACK):
                shown = _exception(report)
            else:
                shown = _timeout(report) if kind.startswith(TIMEOUT) else _crash(report)
            # What a C library says of the reason stands before the report.
            return found[max(0, index - 2) : index] + shown
    return found[-MAX_OTHER:]


def _crash(report: list[str]) -> list[str]:
    """Return the first line, and the frames of the stage in the thread that has crashed."""
    first, *frames = report
    for index, line in enumerate(frames):
        if line.startswith('Current thread'):
            frames = frames[index:]
            break
    shown = []
    for line in frames:
        if _CALLER in line or line.startswith(('Extension modules:', 'Thread ')):
            break
        shown.append(line)
    return [first, *shown[: MAX_REPORT - 1]]


def _timeout(report: list[str]) -> list[str]:
    """Return the first line, and the frames of the stage on the thread that calls it."""
    first, *frames = report
    own: list[str] = []
    for line in frames:
        if _CALLER in line and own:
            return [first, *own[: MAX_REPORT - 1]]
        own = [] if 'most recent call first' in line else [*own, line]
    return report[:MAX_REPORT]


def _exception(report: list[str]) -> list[str]:
    """Return a traceback; of a long one the end, which says what was wrong."""
    if len(report) <= MAX_REPORT:
        return report
    return [report[0], '  ...', *report[2 - MAX_REPORT :]]
