"""What a stage logs, in the log of its node."""

from __future__ import annotations

import logging

from rclpy.node import Node


class _RosHandler(logging.Handler):
    """Passes log records on to a node's logger."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        logger = node.get_logger()
        self._write = [
            (logging.ERROR, logger.error),
            (logging.WARNING, logger.warning),
            (logging.INFO, logger.info),
            (0, logger.debug),
        ]

    def emit(self, record: logging.LogRecord) -> None:
        # One call site each: rclpy refuses to change the severity of one.
        text = self.format(record)
        for level, write in self._write:
            if record.levelno >= level:
                write(text)
                return


def stage_logger(node: Node) -> logging.Logger:
    """A logger for the stage of a node."""
    logger = logging.getLogger(f'worker_pipeline.stage.{node.get_name()}')
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(_RosHandler(node))
    return logger
