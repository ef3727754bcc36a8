# SPDX-License-Identifier: Apache-2.0
"""The declaration and checking of parameters."""

from __future__ import annotations

import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline import Parameter, ParameterError
from worker_pipeline.parameter import as_parameters, check_parameters, did_you_mean, type_name


@pytest.mark.parametrize(
    ('default', 'value', 'result'),
    [
        (1.0, 2.5, 2.5),
        (1.0, 2, 2.0),
        (1, 2, 2),
        (True, False, False),
        ('a', 'b', 'b'),
        ([1.0], [2, 3.5], [2.0, 3.5]),
        ((1.0,), (2, 3.5), [2.0, 3.5]),
        ([1], array.array('q', [4, 5]), [4, 5]),
        (['a'], [], []),
        ([], ['anything', 1], ['anything', 1]),
    ],
)
def test_a_value_of_the_declared_type_is_accepted(default, value, result):
    """An int is converted if a float is declared."""
    checked = Parameter(default).check(value)
    assert checked == result
    assert type(checked) is type(result)
    if isinstance(result, list):
        assert [type(each) for each in checked] == [type(each) for each in result]


@pytest.mark.parametrize(
    ('default', 'value'),
    [
        (1.0, '2.5'),
        (1.0, True),
        (1.0, None),
        (1.0, [1.0]),
        (1.0, 10**400),
        (1, 2.0),
        (1, True),
        (True, 1),
        (True, 'true'),
        ('a', 1),
        ('a', b'a'),
        ([1.0], 1.0),
        (['a'], 'abc'),
        ([1], b'abc'),
        ([1], [1, 'b']),
        ([1], [1, True]),
    ],
)
def test_a_value_of_another_type_is_rejected(default, value):
    """A bool is not an int, a string not a list; nothing is guessed."""
    with pytest.raises(ValueError):  # noqa: PT011  the words are the caller's
        Parameter(default).check(value)


@pytest.mark.parametrize(
    ('value', 'is_allowed'), [(-0.1, False), (0.0, True), (1.0, True), (1.1, False)]
)
def test_both_bounds_are_inclusive(value: float, is_allowed: bool):
    """Also for each element of a list."""
    single = Parameter(0.5, minimum=0.0, maximum=1.0)
    several = Parameter([0.5], minimum=0.0, maximum=1.0)
    if is_allowed:
        assert single.check(value) == value
        assert several.check([0.5, value]) == [0.5, value]
    else:
        with pytest.raises(ValueError):  # noqa: PT011
            single.check(value)
        with pytest.raises(ValueError):  # noqa: PT011
            several.check([0.5, value])


def test_nan_is_not_within_any_bounds():
    """It is rejected at each bound."""
    for bounds in ({'minimum': 0.0}, {'maximum': 1.0}):
        with pytest.raises(ValueError):  # noqa: PT011
            Parameter(0.5, **bounds).check(float('nan'))


def test_only_choices_are_accepted_if_there_are_any():
    """Also for each element of a list."""
    parameter = Parameter('low', choices=('low', 'high'))
    assert parameter.check('high') == 'high'
    with pytest.raises(ValueError):  # noqa: PT011
        parameter.check('middle')
    with pytest.raises(ValueError):  # noqa: PT011
        Parameter(['low'], choices=('low', 'high')).check(['low', 'middle'])


@pytest.mark.parametrize(
    ('parameter', 'words'),
    [
        (Parameter(1), 'an int'),
        (Parameter(True), 'a bool'),
        (Parameter('x'), 'a string'),
        (Parameter([0.5]), 'a list of a float'),
        (Parameter([]), 'a list'),
        (Parameter(1.0, unit='m'), 'a float [m]'),
        (Parameter(1, minimum=1), 'an int of 1 or more'),
        (Parameter(1.0, maximum=2.5, unit='s'), 'a float of 2.5 or less [s]'),
        (Parameter(0.5, minimum=0.0, maximum=1.0), 'a float from 0 to 1'),
        (Parameter('low', choices=('low', 'high')), "one of 'low', 'high'"),
    ],
)
def test_the_allowed_values_are_described(parameter: Parameter, words: str):
    """By type, range and unit, or by the choices."""
    assert parameter.allowed() == words


@pytest.mark.parametrize(
    ('value', 'name'),
    [
        (None, 'nothing'),
        (True, 'a bool'),
        (1, 'an int'),
        (1.0, 'a float'),
        ('', 'a string'),
        ([], 'a list'),
        ([1], 'a list of an int'),
        (('a',), 'a list of a string'),
        (array.array('d', [1.0]), 'a list of a float'),
        ({}, 'dict'),
    ],
)
def test_types_have_the_names_that_users_know(value, name: str):
    """With an article; unknown types have their Python names."""
    assert type_name(value) == name


def test_a_plain_default_is_a_parameter_without_bounds():
    """A Parameter stays as it is."""
    bounded = Parameter(1, minimum=0)
    assert as_parameters({'a': 0.5, 'b': bounded}) == {'a': Parameter(0.5), 'b': bounded}


def test_parameters_not_given_keep_their_defaults():
    """The result has all parameters."""
    parameters = {'gain': 1.0, 'name': Parameter('x'), 'count': 3}
    assert check_parameters(parameters, {'gain': 2}) == {'gain': 2.0, 'name': 'x', 'count': 3}


def test_all_invalid_parameters_are_reported_at_once():
    """The value and the allowed values; for an unknown name the most similar one."""
    parameters = {'gain': 1.0, 'count': Parameter(3, minimum=1)}
    with pytest.raises(ParameterError) as caught:
        check_parameters(parameters, {'gain': 'high', 'count': 0, 'gian': 1.0, 'zzz': 1})
    assert caught.value.problems == [
        "gain: found 'high' (a string); allowed: a float",
        'count: found 0 (an int); allowed: an int of 1 or more',
        "gian: unknown parameter; did you mean 'gain'?",
        'zzz: unknown parameter; known: count, gain',
    ]
    assert str(caught.value) == '; '.join(caught.value.problems)


def test_a_stage_without_parameters_accepts_none():
    """The hint names it."""
    with pytest.raises(ParameterError, match='gain: unknown parameter; known: none'):
        check_parameters({}, {'gain': 1.0})


def test_the_hint_is_the_most_similar_known_name():
    """If none is similar, all are listed."""
    assert did_you_mean('worker', ['workers', 'period']) == "did you mean 'workers'?"
    assert did_you_mean('xyz', ['workers', 'period']) == 'known: period, workers'


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3)), max_size=3),
)


@given(
    default=st.one_of(st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.floats())),
    minimum=st.none() | st.floats(-10, 10),
    maximum=st.none() | st.floats(-10, 10),
    value=VALUES,
)
def test_check_returns_the_declared_type_or_raises_a_parameter_error(
    default, minimum, maximum, value
):
    """For any declaration and any value."""
    spec = Parameter(default, minimum=minimum, maximum=maximum)
    problems: list[str] = []
    try:
        checked = check_parameters({'it': spec}, {'it': value})['it']
    except ParameterError as error:
        problems = error.problems
    if problems:
        assert len(problems) == 1
        assert problems[0].startswith('it: found ')
    else:
        assert type(checked) is type(default)
