"""The parameters of a manager that runs: described, checked as a whole, and passed on when set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from worker_pipeline.config import (
    LIVE_STAGE_KEYS,
    PIPELINE_KEYS,
    ROS_KEYS,
    STAGE_KEYS,
    ConfigurationError,
    PipelineConfig,
    PluginDescription,
    check_links,
    load,
)
from worker_pipeline.parameter import Parameter, ParameterError, check_parameters

_LARGEST_INT = 2**63 - 1
_LARGEST_FLOAT = 1.7976931348623157e308


class LiveParameters:
    """Those of the node ``manager``. ``apply``: called with the configuration that is to hold.

    What may be changed while the pipeline runs are, of each stage, the keys ``LIVE_STAGE_KEYS`` and
    its own parameters; the others are read-only.
    """

    def __init__(
        self,
        node: Node,
        config: PipelineConfig,
        plugins: Mapping[str, PluginDescription],
        apply: Callable[[PipelineConfig], None],
    ) -> None:
        self._node = node
        self._plugins = plugins
        self._apply = apply
        for name, value, descriptor in self._described(config):
            if node.has_parameter(name):
                node.set_descriptor(name, descriptor)
            else:
                node.declare_parameter(name, value, descriptor)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._pass_on)

    def _described(self, config: PipelineConfig) -> Iterator[tuple[str, Any, ParameterDescriptor]]:
        """Every parameter but lists that may be empty, which have no type then."""
        told = 'the names of the stages; their order is only for people'
        yield 'stages', [*config.stages], _described_alone(told)
        for key, spec in PIPELINE_KEYS.items():
            yield key, getattr(config, key), describe(spec, is_live=False)
        for name, stage in config.stages.items():
            if stage.inputs:
                descriptor = _described_alone(STAGE_KEYS['input'].description)
                yield f'{name}.input', [*stage.inputs], descriptor
            for key, source in stage.context.items():
                told = 'where a context comes from: a stage, or an absolute topic'
                yield f'{name}.context.{key}', source, _described_alone(told)
            for key, spec in STAGE_KEYS.items():
                if key == 'input':
                    continue
                value = stage.overflow.value if key == 'overflow' else getattr(stage, key)
                descriptor = describe(spec, is_live=key in LIVE_STAGE_KEYS)
                yield f'{name}.{key}', value, descriptor
            for key, spec in self._plugins[name].parameters.items():
                value = stage.params.get(key, spec.default)
                if not isinstance(value, (list, tuple)) or len(value):
                    yield f'{name}.params.{key}', value, describe(spec, is_live=True)

    def _check(self, parameters: list[RosParameter[Any]]) -> SetParametersResult:
        try:
            self._proposed(parameters)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason='; '.join(error.problems))
        # Those that were given are read-only; these were not.
        fixed = [each.name for each in parameters if not _is_live(each.name)]
        if fixed:
            reason = f'{", ".join(fixed)}: cannot be changed while it runs'
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _pass_on(self, parameters: list[RosParameter[Any]]) -> None:
        self._apply(self._proposed(parameters))

    def _proposed(self, parameters: list[RosParameter[Any]]) -> PipelineConfig:
        """The configuration with these changes. Raises ConfigurationError."""
        values = {
            name: each.value for name, each in self._node.get_parameters_by_prefix('').items()
        }
        for each in parameters:
            values[each.name] = each.value
            if each.type_ is RosParameter.Type.NOT_SET:
                del values[each.name]  # its default holds again
        config = load(values)
        problems = []
        for name, stage in config.stages.items():
            try:
                check_parameters(self._plugins[name].parameters, stage.params)
            except ParameterError as error:
                problems += [f'{name}.params.{text}' for text in error.problems]
        if problems:
            raise ConfigurationError(problems)
        check_links(config, self._plugins, self._node.get_namespace())
        return config


def _is_live(name: str) -> bool:
    head, _, key = name.partition('.')
    return head in ROS_KEYS or key in LIVE_STAGE_KEYS or key.startswith('params.')


def _described_alone(text: str) -> ParameterDescriptor:
    """Of a parameter whose value no single rule is told for, and which is read-only."""
    return ParameterDescriptor(description=text, read_only=True, dynamic_typing=True)


def describe(spec: Parameter, *, is_live: bool) -> ParameterDescriptor:
    """What ``ros2 param describe`` and rqt show of a parameter."""
    descriptor = ParameterDescriptor(
        description=spec.description,
        additional_constraints=f'allowed: {spec.allowed()}',
        read_only=not is_live,
        # What is given as 5 may stand for 5.0; it is checked as a whole.
        dynamic_typing=True,
    )
    if spec.minimum is None and spec.maximum is None:
        return descriptor
    if isinstance(spec.default, float):
        low = -_LARGEST_FLOAT if spec.minimum is None else float(spec.minimum)
        high = _LARGEST_FLOAT if spec.maximum is None else float(spec.maximum)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif isinstance(spec.default, int):
        low = -_LARGEST_INT if spec.minimum is None else int(spec.minimum)
        high = _LARGEST_INT if spec.maximum is None else int(spec.maximum)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return descriptor
