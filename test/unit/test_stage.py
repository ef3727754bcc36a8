# SPDX-License-Identifier: Apache-2.0
"""The base class of stages."""

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
    """Those that were given, checked and converted, and defaults for the rest."""
    stage = Echo().bind({'gain': 2})
    assert stage.params == {'gain': 2.0, 'count': 3}


def test_binding_nothing_gives_defaults_and_empty_contexts():
    """One call suffices for a test of a stage."""
    stage = Echo().bind()
    assert stage.params == {'gain': 1.0, 'count': 3}
    assert stage.context['odometry'].latest() is None


def test_binding_returns_the_stage():
    """A stage can be created and bound in one expression."""
    stage = Echo()
    assert stage.bind() is stage


def test_invalid_parameters_are_reported_together():
    """Unknown, mistyped and forbidden ones in one error."""
    with pytest.raises(ParameterError) as caught:
        Echo().bind({'gian': 1.0, 'gain': 'x', 'count': 0})
    assert [each.split(':')[0] for each in caught.value.problems] == ['gian', 'gain', 'count']


@pytest.mark.parametrize('is_filled', [False, True])
def test_a_given_context_is_used(is_filled: bool):
    """Also while it is still empty."""
    buffer = ContextBuffer()
    if is_filled:
        buffer.add(_Message())
    assert Echo().bind(context={'odometry': buffer}).context['odometry'] is buffer


def test_two_stages_share_nothing():
    """Neither their parameters nor their contexts."""
    first, second = Echo().bind({'gain': 5.0}), Echo().bind()
    assert second.params['gain'] == 1.0
    assert first.context['odometry'] is not second.context['odometry']
    assert (Echo.params, Echo.context) == ({}, {})


def test_a_stage_may_have_an_init_of_its_own():
    """It need not call that of Stage: all attributes exist before ``bind``."""

    class Own(Stage):
        def __init__(self):
            self.model = 'loaded'

    stage = Own()
    assert (stage.params, stage.context) == ({}, {})
    assert stage.logger.name == 'worker_pipeline.stage'
    assert stage.bind().model == 'loaded'


def test_a_given_logger_is_used():
    """Without one the stage keeps its logger."""
    logger = logging.getLogger('mine')
    assert Echo().bind(logger=logger).logger is logger
    assert Echo().bind().logger is Stage.logger


def test_all_hooks_except_process_are_optional():
    """They do nothing; ``process`` raises NotImplementedError."""
    stage = Stage().bind()
    for hook in (stage.configure, stage.activate, stage.deactivate, stage.cleanup):
        assert hook() is None
    with pytest.raises(NotImplementedError):
        stage.process(object())


def test_end_of_stream_is_an_ordinary_exception():
    """``except Exception`` catches it."""
    assert issubclass(EndOfStream, Exception)


class _Message:
    def __init__(self) -> None:
        self.header = self
        self.stamp = 7


def test_a_stage_is_stateless_by_default():
    """Its saved state is empty, and restoring does nothing."""
    stage = Echo().bind()
    assert stage.save_state() == b''
    stage.restore_state(b'anything')
    assert not stage.restart_on_error


def test_the_types_in_brackets_change_nothing_at_run_time():
    """Only the attributes count at run time."""

    class Typed(Stage[_Message, _Message]):
        input_type = _Message
        output_type = _Message

    assert issubclass(Typed, Stage)
    assert Typed.save_state is Stage.save_state
    assert type(Typed().bind()) is Typed
    assert Stage[_Message, _Message].input_type is None
