# SPDX-License-Identifier: Apache-2.0
"""The logger of a stage, which writes to the log of its node.

It is a logger of the standard library, but none of its global tree: a library that configures
logging for the whole process (``dictConfig`` disables the loggers that it does not know,
``logging.disable`` all of them) must not silence the stage.
"""

from __future__ import annotations

import logging
from typing import Any

from worker_pipeline.error_text import describe_error, plain_text
from worker_pipeline.ros.node_log import CodeLocation, NodeLog


class _StageLogger(logging.Logger):
    """A logger of a tree of its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        # In a process that the stage starts itself, such as that of a pool, there is no node.
        return logging.getLogger, (self.name,)


class _NodeLogHandler(logging.Handler):
    """Writes log records to a node's log."""

    def __init__(self, log: NodeLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception as error:
            # As in the standard library, a wrong argument is reported and does no more harm.
            text = f'{plain_text(record.msg)} (not formatted: {describe_error(error)})'
        location = CodeLocation(record.funcName or '', record.pathname, record.lineno)
        self._log.write(record.levelno, text, location)


def stage_logger(name: str, log: NodeLog) -> logging.Logger:
    """Return a logger for the stage of the node ``name``, which writes to that node's log."""
    tree = logging.Manager(logging.RootLogger(logging.DEBUG))
    tree.setLoggerClass(_StageLogger)
    logger = tree.getLogger(f'worker_pipeline.stage.{name}')
    logger.setLevel(logging.DEBUG)
    logger.addHandler(_NodeLogHandler(log))
    return logger
