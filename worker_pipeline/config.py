"""The configuration of a pipeline: what the parameters of the node ``manager`` may say.

``load`` reads the flat names and values that ROS gives (``detect_target.workers``: 2) and checks
them as a whole; ``check_links`` then checks what only the stages' classes can tell. Both collect
every problem before they raise, so that one start shows all that is to be mended.
"""

from __future__ import annotations

import difflib
import graphlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from worker_pipeline.core.ledger import Overflow
from worker_pipeline.parameter import Parameter, nearest, one_line, shown, type_name

TICK_TYPE = 'sensor_msgs/msg/TimeReference'


class ConfigurationError(ValueError):
    """A configuration that nothing may be started with. ``problems`` has one line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = [one_line(each) for each in problems]
        super().__init__('\n'.join(self.problems))


# The longest time that may be given, in seconds: a week. Infinity and what poll() and timers cannot
# count (24 days of milliseconds) are so refused here, in words, rather than met when it matters.
LONGEST = 604_800.0
# Above this a period is a timer that leaves its process no time for anything else.
SHORTEST_PERIOD = 0.001
MOST_STAGES = 100
# A domain has room for 120 participants on one machine, and each worker is one.
MOST_WORKERS = 100
MOST_INPUTS = 100
LONGEST_NAME = 100
# ROS allows 247 characters. A stage's name stands in its workers' services, too.
LONGEST_TOPIC = 240
LONGEST_SERVICE = '/worker_99/set_parameters_atomically'


def _seconds(default: float, description: str, minimum: float) -> Parameter:
    return Parameter(default, description, 's', minimum=minimum, maximum=LONGEST)


# Every key of the contract: its default, what is allowed, what it means. The defaults' types are
# the keys' types.
PIPELINE_KEYS: dict[str, Parameter] = {
    'heartbeat_period': _seconds(0.1, 'how often a worker is heard', 0.01),
    'heartbeat_timeout': _seconds(
        1.0, 'without a heartbeat for this long a worker hangs, and is replaced', 0.05
    ),
    'restart_backoff_max': _seconds(
        10.0, 'the longest wait before a restart; the first is immediate', 0.0
    ),
    'restart_limit': Parameter(
        5, 'more restarts than this within restart_window: the slot is failed', minimum=0
    ),
    'restart_window': _seconds(30.0, 'restarts are forgotten after this much time at work', 0.1),
    'spares': Parameter(
        1, 'processes kept ready to become any worker', minimum=0, maximum=MOST_WORKERS
    ),
    'orphan_timeout': _seconds(30.0, 'a worker without a manager ends itself after this', 0.0),
    'shutdown_timeout': _seconds(
        10.0, 'how long SIGINT or SIGTERM waits for items to be finished', 0.0
    ),
    'journal': Parameter(False, 'accepted items survive a crash of the manager'),
    'frame_memory': Parameter(
        256.0,
        'shared memory that camera frames and other large messages may take; 0: they go by sockets',
        'MB',
        minimum=0.0,
        maximum=1e6,
    ),
    'exit_when_done': Parameter(
        False,
        'end when every source that is an input is exhausted, and everything is drained',
    ),
}
STAGE_KEYS: dict[str, Parameter] = {
    'plugin': Parameter('', 'the class that does the work: module:Class'),
    'input': Parameter('', 'a stage, or an absolute topic; or a list of them'),
    'period': _seconds(0.0, 'sources: one item is asked for every period', 0.0),
    'workers': Parameter(1, 'how many workers', minimum=1, maximum=MOST_WORKERS),
    'standby': Parameter(
        0,
        'configured workers kept in reserve, to take over at once',
        minimum=0,
        maximum=MOST_WORKERS,
    ),
    'concurrency': Parameter(
        2, 'how many items one worker may hold at once', minimum=1, maximum=1000
    ),
    'queue_size': Parameter(10, 'how many items may wait', minimum=1, maximum=1_000_000),
    'overflow': Parameter(
        'drop_oldest', 'what a full queue does', choices=tuple(each.value for each in Overflow)
    ),
    'ordered': Parameter(True, 'whether items leave in the order they came'),
    'task_timeout': _seconds(5.0, 'how long one item may take', 0.01),
    'startup_timeout': _seconds(30.0, 'from process start to active', 0.1),
    'max_attempts': Parameter(2, 'how many workers an item may cost', minimum=1),
    'memory_limit': Parameter(
        0.0,
        'resident size at which a worker is replaced; 0 for no limit',
        'MB',
        minimum=0.0,
        maximum=1e6,
    ),
}
# Of a stage's, those that may be changed while the pipeline runs; and its own parameters.
LIVE_STAGE_KEYS = ('workers', 'standby', 'concurrency', 'queue_size', 'task_timeout')
# Tables within a stage's section; their own keys are the user's.
STAGE_TABLES = ('context', 'params')
# Parameters that every ROS node has of its own.
ROS_BOOLS = ('use_sim_time', 'start_type_description_service')
ROS_KEYS = (*ROS_BOOLS, 'qos_overrides')

NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*\Z')
TOPIC = re.compile(r'(/[A-Za-z_][A-Za-z0-9_]*)+\Z')
PLUGIN = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*\Z')
RESERVED = frozenset({'manager', 'heartbeats', 'quarantine', 'stages', *PIPELINE_KEYS, *ROS_KEYS})


@attrs.frozen
class StageConfig:
    """One stage, as configured. The fields are the contract's keys.

    Times are in seconds, ``memory_limit`` in MB.
    """

    name: str
    plugin: str
    inputs: tuple[str, ...]
    period: float
    workers: int
    standby: int
    concurrency: int
    queue_size: int
    overflow: Overflow
    ordered: bool
    task_timeout: float
    startup_timeout: float
    max_attempts: int
    memory_limit: float
    context: Mapping[str, str]
    params: Mapping[str, Any]


@attrs.frozen
class PipelineConfig:
    """A whole pipeline, as configured. The fields are the contract's keys.

    Times are in seconds, ``frame_memory`` in MB.
    """

    stages: Mapping[str, StageConfig]
    heartbeat_period: float
    heartbeat_timeout: float
    restart_backoff_max: float
    restart_limit: int
    restart_window: float
    spares: int
    orphan_timeout: float
    shutdown_timeout: float
    journal: bool
    frame_memory: float
    exit_when_done: bool

    def followers(self, name: str) -> list[str]:
        """The stages that take this stage's output as their input."""
        return [each.name for each in self.stages.values() if name in each.inputs]

    def is_context(self, name: str) -> bool:
        """Whether a stage hears this stage's output as a context."""
        return any(name in each.context.values() for each in self.stages.values())

    def is_context_alone(self, name: str) -> bool:
        """Whether this stage is there for that, and its output is nobody's input."""
        return self.is_context(name) and not self.followers(name)


@attrs.frozen
class PluginDescription:
    """What the class of a stage says of itself; told by a process that imported it.

    Message types are written ``std_msgs/msg/Header``. ``problems`` says what is wrong with the
    class or with its parameters, ready to be shown behind the stage's name. ``remembers`` says
    whether the class overrides ``save_state``; ``parameters`` are the stage's own, as declared.
    """

    input_type: str = ''
    output_type: str = ''
    contexts: Mapping[str, str] = attrs.field(factory=dict)
    problems: Sequence[str] = ()
    remembers: bool = False
    parameters: Mapping[str, Parameter] = attrs.field(factory=dict)


def load(parameters: Mapping[str, Any]) -> PipelineConfig:
    """The configuration that ROS parameters describe.

    ``parameters`` maps full names (``detect_target.params.confidence``) to values. Raises
    :class:`ConfigurationError` with every problem found: the key, what was found, what is allowed.
    """
    return _Reader(parameters).read()


class _Reader:
    """Reads one set of parameters, collecting problems on the way."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.parameters = parameters
        self.problems: list[str] = []
        # Keys that something was wrong with. What else they might be wrong with, as compared to
        # others, is not told: they have no value to compare.
        self._wrong: set[str] = set()
        self._names: list[str] = []

    def read(self) -> PipelineConfig:
        names = self._names = self._stage_names()
        pipeline: dict[str, Any] = {}
        sections: dict[str, dict[str, Any]] = {name: {} for name in names}
        for key, value in self.parameters.items():
            head, dot, rest = key.partition('.')
            if key in ROS_BOOLS:
                # ROS itself would only log that it takes no notice.
                self._checked(key, Parameter(False), value)
            if key == 'stages' or head in ROS_KEYS:
                continue
            if dot and head in sections:
                sections[head][rest] = value
            elif dot and names:
                self._problem(key, f'{shown(head)} is not in stages; {nearest(head, names)}')
            elif key in PIPELINE_KEYS:
                pipeline[key] = self._checked(key, PIPELINE_KEYS[key], value)
            elif not dot:
                self._problem(key, f'unknown key; {nearest(key, [*PIPELINE_KEYS, "stages"])}')
        stages = {name: self._stage(name, section) for name, section in sections.items()}
        self._check_order(stages)
        values = {name: spec.default for name, spec in PIPELINE_KEYS.items()} | pipeline
        period, timeout = values['heartbeat_period'], values['heartbeat_timeout']
        if timeout <= period and not {'heartbeat_period', 'heartbeat_timeout'} & self._wrong:
            self._problem(
                'heartbeat_timeout',
                f'found {timeout!r}; allowed: a float of more than heartbeat_period, '
                f'{period!r} [s]',
            )
        if self.problems:
            raise ConfigurationError(self.problems)
        return PipelineConfig(stages=stages, **values)

    def _problem(self, key: str, text: str) -> None:
        self._wrong.add(key)
        # A key that is no word is told in quotes, or the line would begin with nothing.
        self.problems.append(f'{key if key.strip() else shown(key)}: {text}')

    def _checked(self, key: str, spec: Parameter, value: Any) -> Any:
        try:
            return spec.check(value)
        except (ValueError, TypeError):
            self._problem(
                key, f'found {shown(value)} ({type_name(value)}); allowed: {spec.allowed()}'
            )
            return spec.default

    def _stage_names(self) -> list[str]:
        found = self.parameters.get('stages')
        allowed = f'a list of 1 to {MOST_STAGES} stage names'
        if found is None:
            self._problem('stages', f'not given; allowed: {allowed}')
            return []
        if not _is_list(found):
            self._problem(
                'stages', f'found {shown(found)} ({type_name(found)}); allowed: {allowed}'
            )
            return []
        if not 1 <= len(found) <= MOST_STAGES:
            count = len(found) or 'an empty list'
            self._problem('stages', f'found {count}; allowed: {allowed}')
            return []
        names: list[str] = []
        for name in found:
            if not isinstance(name, str) or not NAME.match(name):
                self._problem(
                    'stages',
                    f'found {shown(name)}; allowed: names of letters, digits and underscores '
                    'that begin with a letter',
                )
            elif len(name) > LONGEST_NAME:
                self._problem(
                    'stages',
                    f'found {shown(name)}; allowed: a name of up to {LONGEST_NAME} characters',
                )
            elif name in RESERVED:
                self._problem(
                    'stages', f'found {name!r}; allowed: a name that is not taken already'
                )
            elif name in names:
                self._problem('stages', f'found {name!r} twice; allowed: each name once')
            else:
                names.append(name)
        return names

    def _stage(self, name: str, section: Mapping[str, Any]) -> StageConfig:
        values: dict[str, Any] = {}
        tables: dict[str, dict[str, Any]] = {table: {} for table in STAGE_TABLES}
        inputs: tuple[str, ...] = ()
        for key, value in section.items():
            head, dot, rest = key.partition('.')
            full = f'{name}.{key}'
            if dot and head in tables:
                tables[head][rest] = value
            elif key == 'input':
                inputs = self._inputs(full, value)
            elif key in STAGE_TABLES:
                self._problem(
                    full,
                    f'found {shown(value)} ({type_name(value)}); allowed: a table of names, '
                    f'as in {full}.name',
                )
            elif key in STAGE_KEYS:
                values[key] = self._checked(full, STAGE_KEYS[key], value)
            else:
                known = [*STAGE_KEYS, *STAGE_TABLES]
                self._problem(full, f'unknown key; {nearest(key, known)}')
        context = {
            key: source
            for key, source in tables['context'].items()
            if self._is_source_of_items(f'{name}.context.{key}', source)
        }
        settings = {key: spec.default for key, spec in STAGE_KEYS.items()} | values
        self._check_plugin(f'{name}.plugin', settings['plugin'], given='plugin' in values)
        if 0.0 < settings['period'] < SHORTEST_PERIOD:
            self._problem(
                f'{name}.period',
                f'found {settings["period"]!r}; allowed: 0.0, or a float of {SHORTEST_PERIOD:g} '
                'or more [s]',
            )
        settings['overflow'] = Overflow(settings['overflow'])
        if settings['overflow'] is Overflow.BLOCK and f'{name}.input' not in self._wrong:
            outside = [each for each in inputs if each.startswith('/')]
            if outside or not inputs:
                found = f'block with input {", ".join(outside) or "none"}'
                self._problem(
                    f'{name}.overflow',
                    f'found {found}; allowed: drop_oldest, or block where every input is a stage',
                )
        del settings['input']
        return StageConfig(
            name=name, inputs=inputs, context=context, params=tables['params'], **settings
        )

    def _inputs(self, key: str, value: Any) -> tuple[str, ...]:
        listed = [value] if isinstance(value, str) else value
        if not _is_list(listed):
            self._problem(
                key,
                f'found {shown(value)} ({type_name(value)}); '
                'allowed: a stage, an absolute topic, or a list of them',
            )
            return ()
        if len(listed) > MOST_INPUTS:
            self._problem(key, f'found {len(listed)}; allowed: up to {MOST_INPUTS} inputs')
            return ()
        inputs = [each for each in listed if self._is_source_of_items(key, each)]
        for each, count in sorted(Counter(inputs).items()):
            if count > 1:
                self._problem(key, f'found {each!r} twice; allowed: each input once')
        return tuple(inputs)

    def _is_source_of_items(self, key: str, found: Any) -> bool:
        allowed = 'a stage or an absolute topic'
        hint = ''
        if isinstance(found, str):
            if found in self._names:
                return True
            if TOPIC.match(found):
                if len(found) <= LONGEST_TOPIC:
                    return True
                allowed += f' of up to {LONGEST_TOPIC} characters'
            elif found and not found.startswith('/'):
                hint = f'; {nearest(found, self._names)}'
        self._problem(key, f'found {shown(found)}; allowed: {allowed}{hint}')
        return False

    def _check_plugin(self, key: str, plugin: str, *, given: bool) -> None:
        allowed = 'module:Class on the Python path'
        if not given:
            self._problem(key, f'not given; allowed: {allowed}')
        elif key not in self._wrong and not PLUGIN.match(plugin):
            self._problem(key, f'found {shown(plugin)}; allowed: {allowed}')

    def _check_order(self, stages: Mapping[str, StageConfig]) -> None:
        links = {
            name: [each for each in stage.inputs if each in stages]
            for name, stage in stages.items()
        }
        try:
            graphlib.TopologicalSorter(links).prepare()
        except graphlib.CycleError as error:
            cycle = ' -> '.join(error.args[1])
            self._problem(
                f'{error.args[1][-1]}.input',
                f'found a cycle, {cycle}; allowed: stages that do not feed themselves',
            )


def _is_list(value: Any) -> bool:
    return (
        hasattr(value, '__iter__')
        and hasattr(value, '__len__')
        and not isinstance(value, (str, bytes, Mapping))
    )


def check_links(
    config: PipelineConfig, plugins: Mapping[str, PluginDescription], namespace: str = '/airside'
) -> list[str]:
    """Check what the stages' classes say against the configuration and one another.

    ``plugins`` maps every stage to what its class says; ``namespace`` is the pipeline's. Returns
    remarks on what is allowed and has no effect. Raises :class:`ConfigurationError` with every
    problem found.
    """
    problems: list[str] = []
    remarks: list[str] = []
    types = _own_topics(plugins, namespace.rstrip('/'))
    room = LONGEST_TOPIC - len(f'{namespace.rstrip("/")}/{LONGEST_SERVICE}')
    for name, stage in config.stages.items():
        plugin = plugins[name]
        if len(name) > room:
            problems.append(
                f'stages: found {shown(name)}; allowed: a name of up to {max(0, room)} characters '
                f'in the namespace {shown(namespace)}'
            )
        if plugin.problems:
            problems += [f'{name}.{text}' for text in plugin.problems]
            continue
        for source in stage.inputs:
            upstream = plugins.get(source)
            if upstream and not upstream.problems and upstream.output_type != plugin.input_type:
                problems.append(
                    f'{name}.input: found {source}, whose output is {upstream.output_type}; '
                    f'allowed: {plugin.input_type}, the input of {stage.plugin}'
                )
        if stage.period and not is_source(stage, plugin):
            problems.append(
                f'{name}.period: found {stage.period!r}; allowed: 0.0, as only a source has a '
                f'period (no input, and input_type {TICK_TYPE})'
            )
        if stage.standby and plugin.remembers:
            problems.append(
                f'{name}.standby: found {stage.standby}; allowed: 0, as {stage.plugin} remembers, '
                'and what it remembers belongs to its slot'
            )
        problems += _context_problems(stage, plugin, plugins)
        problems += _topic_problems(stage, plugin, types)
        remarks += [
            one_line(
                f'{name}.context.{each}: has no effect; {stage.plugin} asks for no such context'
            )
            for each in stage.context
            if each not in plugin.contexts
        ]
    sources = [
        each
        for each in config.stages.values()
        if is_source(each, plugins[each.name]) and not config.is_context_alone(each.name)
    ]
    if config.exit_when_done and not sources and not problems:
        problems.append(
            'exit_when_done: found True without any source; '
            'allowed: False, as nothing could ever be exhausted'
        )
    if problems:
        raise ConfigurationError(problems)
    return remarks


def is_source(stage: StageConfig, plugin: PluginDescription) -> bool:
    """Whether the manager asks this stage for items: it has no input, and takes ticks."""
    return not stage.inputs and plugin.input_type == TICK_TYPE


def _context_problems(
    stage: StageConfig, plugin: PluginDescription, plugins: Mapping[str, PluginDescription]
) -> list[str]:
    problems = []
    unknown = [name for name in stage.context if name not in plugin.contexts]
    for name, wanted in plugin.contexts.items():
        source = stage.context.get(name)
        if source is None:
            close = difflib.get_close_matches(name, unknown, n=1)
            hint = f'; found {close[0]!r} instead' if close else ''
            problems.append(
                f'{stage.name}.context.{name}: not given; '
                f'allowed: a stage or an absolute topic of {wanted}{hint}'
            )
        elif source in plugins and not plugins[source].problems:
            found = plugins[source].output_type
            if found != wanted:
                problems.append(
                    f'{stage.name}.context.{name}: found {source}, whose output is {found}; '
                    f'allowed: {wanted}'
                )
    return problems


def _own_topics(
    plugins: Mapping[str, PluginDescription], namespace: str
) -> dict[str, tuple[str, str]]:
    """The topics that there are anyway: the type of each, and who says so."""
    status = 'diagnostic_msgs/msg/DiagnosticStatus'
    topics = {
        '/rosout': ('rcl_interfaces/msg/Log', 'ROS'),
        '/parameter_events': ('rcl_interfaces/msg/ParameterEvent', 'ROS'),
        '/diagnostics': ('diagnostic_msgs/msg/DiagnosticArray', 'ROS'),
        f'{namespace}/heartbeats': (status, 'the manager'),
        f'{namespace}/quarantine': (status, 'the manager'),
    }
    for name, plugin in plugins.items():
        if not plugin.problems:
            topics[f'{namespace}/{name}/output'] = (plugin.output_type, name)
            topics[f'{namespace}/{name}/input'] = (plugin.input_type, name)
    return topics


def _topic_problems(
    stage: StageConfig, plugin: PluginDescription, types: dict[str, tuple[str, str]]
) -> list[str]:
    """Topics of which this stage expects another type than somebody else: a topic has but one.

    ``types`` is what is known of topics so far; it learns what this stage expects.
    """
    wanted = [(f'{stage.name}.input', each, plugin.input_type) for each in stage.inputs]
    wanted += [
        (f'{stage.name}.context.{name}', source, plugin.contexts[name])
        for name, source in stage.context.items()
        if name in plugin.contexts
    ]
    problems = []
    for key, topic, message_type in wanted:
        if not topic.startswith('/'):
            continue
        found, by = types.setdefault(topic, (message_type, key))
        if found != message_type:
            problems.append(
                f'{key}: found {topic}, which has {found} for {by}; '
                f'allowed: a topic of {message_type}'
            )
    return problems
