"""The class a user writes."""

from __future__ import annotations

import logging

import pytest

from worker_pipeline import ContextBuffer, EndOfStream, Parameter, ParameterError, Stage


class Echo(Stage):
    parameters = {'gain': 1.0, 'count': Parameter(3, minimum=1)}
    contexts = {'odometry': object}

    def process(self, item):
        return item


def test_a_bound_stage_has_all_its_parameters():
    """Those that are given, checked and converted; defaults for the rest."""
    stage = Echo().bind({'gain': 2})
    assert stage.params == {'gain': 2.0, 'count': 3}


def test_binding_nothing_gives_defaults_and_empty_contexts():
    """As a test of a stage wants it: one call."""
    stage = Echo().bind()
    assert stage.params == {'gain': 1.0, 'count': 3}
    assert stage.context['odometry'].latest() is None


def test_binding_returns_the_stage():
    """So that a stage is built and bound in one expression."""
    stage = Echo()
    assert stage.bind() is stage


def test_wrong_parameters_are_named_together():
    """Unknown, mistyped and forbidden values in one error."""
    with pytest.raises(ParameterError) as caught:
        Echo().bind({'gian': 1.0, 'gain': 'x', 'count': 0})
    assert [each.split(':')[0] for each in caught.value.problems] == ['gian', 'gain', 'count']


@pytest.mark.parametrize('is_filled', [False, True])
def test_a_context_that_is_given_is_the_one_that_is_read(is_filled: bool):
    """Also while it is still empty: it is filled later, behind the stage's back."""
    buffer = ContextBuffer()
    if is_filled:
        buffer.add(_Message())
    assert Echo().bind(context={'odometry': buffer}).context['odometry'] is buffer


def test_two_stages_share_nothing():
    """Neither parameters nor contexts of one appear in another or in the class."""
    first, second = Echo().bind({'gain': 5.0}), Echo().bind()
    assert second.params['gain'] == 1.0
    assert first.context['odometry'] is not second.context['odometry']
    assert (Echo.params, Echo.context) == ({}, {})


def test_a_stage_may_have_an_init_of_its_own():
    """It need not call ours: what a hook may read is there before ``bind``, too."""

    class Own(Stage):
        def __init__(self):
            self.model = 'loaded'

    stage = Own()
    assert (stage.params, stage.context) == ({}, {})
    assert stage.logger.name == 'worker_pipeline.stage'
    assert stage.bind().model == 'loaded'


def test_the_logger_that_is_given_is_used():
    """Without one the stage keeps the one it has."""
    logger = logging.getLogger('mine')
    assert Echo().bind(logger=logger).logger is logger
    assert Echo().bind().logger is Stage.logger


def test_every_hook_but_process_is_optional():
    """They do nothing; ``process`` says that it is missing."""
    stage = Stage().bind()
    for hook in (stage.configure, stage.activate, stage.deactivate, stage.cleanup):
        assert hook() is None
    with pytest.raises(NotImplementedError):
        stage.process(object())


def test_the_end_of_a_stream_is_an_exception_a_source_may_raise():
    """It is no error of the interpreter's kind: ``except Exception`` sees it."""
    assert issubclass(EndOfStream, Exception)


class _Message:
    def __init__(self) -> None:
        self.header = self
        self.stamp = 7


def test_a_stage_remembers_nothing_by_itself():
    """There is nothing to save, and nothing is made of what is restored."""
    stage = Echo().bind()
    assert stage.save_state() == b''
    stage.restore_state(b'anything')
    assert not stage.restart_on_error
