# SPDX-License-Identifier: Apache-2.0
"""Declared parameters that ROS or the manager could not take are named."""

from __future__ import annotations

import enum

import numpy as np
import pytest
from std_msgs.msg import Header

from worker_pipeline import Parameter, Stage
from worker_pipeline.plugins.parameter_checks import ALLOWED, parameter_problems


class Mode(enum.Enum):
    FAST = 1


class Name(str, enum.Enum):
    FAST = 'fast'


class Own(Parameter):
    pass


def problems_of(value: object) -> list[str]:
    class Declaring(Stage):
        input_type = output_type = Header
        parameters = {'x': value}

    return parameter_problems(Declaring)


@pytest.mark.parametrize(
    'value',
    [
        *(True, 1, 2.5, 'text', None, [], [1, 2], (1.5,), ['a']),
        np.float64(2.5),
        Parameter(0.5, 'a share', 'm', minimum=0, maximum=1.0),
        Parameter('a', choices=('a', 'b')),
    ],
)
def test_plain_values_are_allowed(value):
    """Those that ROS has, alone and in lists."""
    assert problems_of(value) == []


@pytest.mark.parametrize(
    'value',
    [
        Mode.FAST,
        Name.FAST,
        np.float32(1),
        np.zeros(2),
        {'a': 1},
        {1},
        b'x',
        [Mode.FAST],
        [[1]],
        len,
    ],
)
def test_other_values_are_named(value):
    """With what is allowed."""
    (problem,) = problems_of(value)
    assert problem.startswith("parameters['x']: found ")
    assert problem.endswith(f'; allowed: {ALLOWED}')


@pytest.mark.parametrize(
    ('spec', 'expected'),
    [
        (Parameter('a', choices=(Name.FAST,)), "choices: found (<Name.FAST: 'fast'>,); allowed: "),
        (Parameter(1, minimum=np.float32(0)), 'minimum: found '),
        (Parameter(1, maximum='1'), "maximum: found '1'; allowed: a number"),
        (Parameter(1, unit=None), 'unit: found None; allowed: a string'),
        (Parameter(1, description=Mode.FAST), 'description: found <Mode.FAST: 1>; allowed: a '),
    ],
)
def test_wrong_fields_are_named(spec, expected: str):
    """Each with its name."""
    (problem,) = problems_of(spec)
    assert problem.startswith(f"parameters['x']: {expected}")


def test_a_parameter_of_a_class_of_ones_own_is_named():
    """The manager does not have that class."""
    assert problems_of(Own(1)) == ["parameters['x']: found a Own; allowed: a Parameter itself"]
