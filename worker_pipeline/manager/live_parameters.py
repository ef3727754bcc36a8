# SPDX-License-Identifier: Apache-2.0
"""The parameters of a running manager: descriptors, and the check of changes as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
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
    NODE_PARAMETERS,
    PIPELINE_KEYS,
    STAGE_KEYS,
    ConfigurationError,
    PipelineConfig,
    PluginDescription,
    check_links,
    check_process_count,
    load,
)
from worker_pipeline.parameter import Parameter, ParameterError, check_parameters

_LARGEST_INT = 2**63 - 1
_LARGEST_FLOAT = 1.7976931348623157e308


class LiveParameters:
    """Declares the parameters of the node ``manager`` and checks every change as a whole.

    Of each stage, the keys in ``LIVE_STAGE_KEYS`` and its own parameters can be changed while the
    pipeline runs; all other parameters are read-only.

    Args:
        node: The manager's node.
        config: The present configuration.
        plugins: The stages' classes, by stage.
        apply: Called with each new configuration, and the names of the stages of which somebody
            has set a parameter.
        process_limit: How many workers, standbys and spares there may be; None: not known.
    """

    def __init__(
        self,
        node: Node,
        config: PipelineConfig,
        plugins: Mapping[str, PluginDescription],
        apply: Callable[[PipelineConfig, Collection[str]], None],
        process_limit: int | None = None,
    ) -> None:
        self._process_limit = process_limit
        self._node = node
        self._plugins = plugins
        self._apply = apply
        self._is_reverting = False
        self._remarks = check_links(config, plugins, node.get_namespace())  # logged already
        for name, value, descriptor in self._parameters(config):
            if node.has_parameter(name):
                node.set_descriptor(name, descriptor)
            else:
                node.declare_parameter(name, value, descriptor)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._pass_on)

    def _parameters(self, config: PipelineConfig) -> Iterator[tuple[str, Any, ParameterDescriptor]]:
        """Yield all parameters except empty lists, which have no type."""
        text = 'the names of the stages; their order is only for people'
        yield 'stages', [*config.stages], _described_alone(text)
        for key, spec in PIPELINE_KEYS.items():
            yield key, getattr(config, key), describe(spec, is_live=False)
        for name, stage in config.stages.items():
            if stage.inputs:
                descriptor = _described_alone(STAGE_KEYS['input'].description)
                yield f'{name}.input', [*stage.inputs], descriptor
            for key, source in stage.context.items():
                text = 'where a context comes from: a stage, or an absolute topic'
                yield f'{name}.context.{key}', source, _described_alone(text)
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
        result = self._judge(parameters)
        if not result.successful:
            self._restore_types(parameters)
        return result

    def _restore_types(self, parameters: list[RosParameter[Any]]) -> None:
        """Describe parameters by the values that they keep: rclpy has set the rejected types."""
        for each in parameters:
            if self._node.has_parameter(each.name):
                kept = self._node.get_parameter(each.name)
                self._node.describe_parameter(each.name).type = kept.type_.value

    def _judge(self, parameters: list[RosParameter[Any]]) -> SetParametersResult:
        try:
            self._proposed(parameters)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason='; '.join(error.problems))
        # ROS itself rejects changes of declared read-only parameters; these were not declared.
        fixed = [each.name for each in parameters if not _is_live(each.name)]
        if fixed:
            reason = f'{", ".join(fixed)}: cannot be changed while it runs'
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _pass_on(self, parameters: list[RosParameter[Any]]) -> None:
        config = self._proposed(parameters)
        heads = {each.name.partition('.')[0] for each in parameters}
        self._apply(config, [] if self._is_reverting else sorted(heads & {*config.stages}))
        remarks = check_links(config, self._plugins, self._node.get_namespace())
        for remark in remarks:
            if remark not in self._remarks:
                self._node.get_logger().warning(remark)
        self._remarks = remarks

    def revert(self, stage: str, settings: Mapping[str, Any]) -> None:
        """Set parameters of a stage back to the values that hold.

        Args:
            stage: its name.
            settings: values by key, as ``params.gain``.
        """
        self._is_reverting = True
        try:
            self._node.set_parameters([_parameter(f'{stage}.{k}', v) for k, v in settings.items()])
        finally:
            self._is_reverting = False

    def _proposed(self, parameters: list[RosParameter[Any]]) -> PipelineConfig:
        """Return the configuration with these changes. Raises ConfigurationError."""
        values = {
            name: each.value for name, each in self._node.get_parameters_by_prefix('').items()
        }
        for each in parameters:
            values[each.name] = each.value
            if each.type_ is RosParameter.Type.NOT_SET:
                del values[each.name]  # back to its default
        config = load(values)
        check_process_count(config, self._process_limit)
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


def _parameter(name: str, value: Any) -> RosParameter[Any]:
    # An empty list has no type, and so was never declared.
    is_empty = isinstance(value, (list, tuple)) and not len(value)
    if is_empty:
        return RosParameter(name, RosParameter.Type.NOT_SET)
    return RosParameter(name, value=list(value) if isinstance(value, tuple) else value)


def _is_live(name: str) -> bool:
    head, _, key = name.partition('.')
    return head in NODE_PARAMETERS or key in LIVE_STAGE_KEYS or key.startswith('params.')


def _described_alone(text: str) -> ParameterDescriptor:
    """Return the descriptor of a read-only parameter without a rule of its own."""
    return ParameterDescriptor(description=text, read_only=True, dynamic_typing=True)


def describe(spec: Parameter, *, is_live: bool) -> ParameterDescriptor:
    """Return the descriptor of a parameter, as ``ros2 param describe`` and rqt show it."""
    descriptor = ParameterDescriptor(
        description=spec.description,
        additional_constraints=f'allowed: {spec.allowed()}',
        read_only=not is_live,
        # 5 is accepted for 5.0; the type is checked with the configuration.
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
