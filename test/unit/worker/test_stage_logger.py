# SPDX-License-Identifier: Apache-2.0
"""A stage logs what it likes, and nothing that a library does silences it."""

from __future__ import annotations

import logging
import logging.config
import pickle

import pytest

from worker_pipeline.ros.node_log import CodeLocation, NodeLog
from worker_pipeline.worker.stage_logger import stage_logger


class Record(NodeLog):
    """A log in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.locations: list[CodeLocation] = []

    def write(self, level, text, location=None):
        self.lines.append((level, text))
        self.locations.append(location)


@pytest.fixture
def log() -> Record:
    return Record()


@pytest.fixture
def logger(log):
    return stage_logger('worker_0', log)


@pytest.fixture(autouse=True)
def _restore_logging():
    """Undo what a test has done to the logging of the whole process."""
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, logging.root.manager.disable
    others = {
        name: each.disabled
        for name, each in logging.root.manager.loggerDict.items()
        if isinstance(each, logging.Logger)
    }
    yield
    logging.disable(disabled)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, each in logging.root.manager.loggerDict.items():
        if isinstance(each, logging.Logger):  # one that was a mere placeholder is a logger now
            each.disabled = others.get(name, False)


def test_every_severity_is_logged(log, logger):
    """Through one logger, in any order, with the line of code that logs."""
    logger.warning('one')
    logger.info('%d items', 2)
    logger.log(15, 'three')
    logger.critical('four')
    assert log.lines == [(30, 'one'), (20, '2 items'), (15, 'three'), (50, 'four')]
    assert {each.function for each in log.locations} == {'test_every_severity_is_logged'}
    assert len({each.line for each in log.locations}) == 4
    assert log.locations[0].file == __file__


def test_an_exception_is_logged_with_its_traceback(log, logger):
    """As the standard library formats it."""
    try:
        raise ValueError('no')
    except ValueError:
        logger.exception('it failed')
    ((level, text),) = log.lines
    assert level == logging.ERROR
    assert text.startswith('it failed\nTraceback')
    assert text.endswith('ValueError: no')


class Mute:
    def __str__(self):
        raise ValueError('mute')

    __repr__ = __str__


@pytest.mark.parametrize(
    ('message', 'arguments', 'expected'),
    [
        ('%d', (None,), '%d (not formatted: TypeError: %d format: '),
        ('%s %s', (1,), '%s %s (not formatted: TypeError: not enough arguments'),
        ('none', (1,), 'none (not formatted: TypeError: not all arguments'),
        ('%(key)s', ({'other': 1},), "%(key)s (not formatted: KeyError: 'key')"),
        ('%s', (Mute(),), '%s (not formatted: ValueError: mute)'),
        (Mute(), (), '<Mute whose text raises ValueError> (not formatted: ValueError: mute)'),
        (None, (), 'None'),
        (b'bytes', (), "b'bytes'"),
    ],
)
def test_a_message_that_cannot_be_formatted_is_no_exception(
    log, logger, message, arguments, expected
):
    """It is logged with the reason."""
    logger.warning(message, *arguments)
    ((level, text),) = log.lines
    assert level == logging.WARNING
    assert text.startswith(expected)


def configure_by_dictionary() -> None:
    logging.config.dictConfig({'version': 1, 'root': {'level': 'CRITICAL'}})


def configure_by_file() -> None:
    sections = {
        'loggers': {'keys': 'root'},
        'handlers': {'keys': ''},
        'formatters': {'keys': ''},
        'logger_root': {'level': 'CRITICAL', 'handlers': ''},
    }
    import configparser

    parser = configparser.ConfigParser()
    parser.read_dict(sections)
    logging.config.fileConfig(parser)


def disable() -> None:
    logging.disable()


def configure_by_force() -> None:
    logging.basicConfig(level=logging.CRITICAL, force=True)


def disable_every_logger() -> None:
    for name in [*logging.root.manager.loggerDict]:
        logging.getLogger(name).disabled = True
    logging.getLogger().handlers.clear()


def shut_down() -> None:
    logging.shutdown()


@pytest.mark.parametrize(
    'configure',
    [
        configure_by_dictionary,
        configure_by_file,
        disable,
        configure_by_force,
        disable_every_logger,
        shut_down,
    ],
)
def test_a_library_that_configures_logging_does_not_silence_the_stage(log, logger, configure):
    """Nor its child loggers."""
    child = logger.getChild('camera')
    configure()
    logger.info('one')
    child.info('two')
    logger.getChild('late').debug('three')
    assert log.lines == [(20, 'one'), (20, 'two'), (10, 'three')]


def test_the_stage_itself_may_choose_its_level(log, logger):
    """It is an ordinary logger in all other respects."""
    logger.setLevel(logging.ERROR)
    logger.warning('one')
    logger.getChild('camera').error('two')
    assert log.lines == [(40, 'two')]


def test_it_can_be_passed_to_another_process(logger):
    """As an attribute of an object in a pool of processes; there it is an ordinary logger."""
    passed = pickle.loads(pickle.dumps(logger))
    assert passed is logging.getLogger('worker_pipeline.stage.worker_0')
