# SPDX-License-Identifier: Apache-2.0
"""The keys of the configuration: their defaults, limits and meanings."""

from __future__ import annotations

import re

from worker_pipeline.core.ledger import Overflow
from worker_pipeline.parameter import Parameter

TICK_TYPE = 'sensor_msgs/msg/TimeReference'

# The longest time that may be given, in seconds: a week. Infinity, and times that poll() and timers
# cannot count (24 days of milliseconds), are thus rejected here, rather than when they are used.
MAX_SECONDS = 604_800.0
# A shorter period is a timer that leaves its process no time for anything else.
MIN_PERIOD = 0.001
MAX_STAGES = 100
# A domain has room for 120 participants on one machine, and each worker is one.
MAX_WORKERS = 100
MAX_INPUTS = 100
MAX_NAME_LENGTH = 100
# ROS allows 247 characters. A stage's name is part of its workers' service names, too.
MAX_TOPIC_LENGTH = 240
LONGEST_SERVICE = '/worker_99/set_parameters_atomically'


def _seconds(default: float, description: str, minimum: float) -> Parameter:
    return Parameter(default, description, 's', minimum=minimum, maximum=MAX_SECONDS)


# The types of the defaults are the types of the keys.
PIPELINE_KEYS: dict[str, Parameter] = {
    'heartbeat_period': _seconds(0.1, 'time between two heartbeats of a worker', 0.01),
    'heartbeat_timeout': _seconds(
        1.0, 'a worker without a heartbeat for this long is considered hung and is replaced', 0.05
    ),
    'restart_backoff_max': _seconds(
        10.0, 'the longest delay before a restart; the first restart is immediate', 0.0
    ),
    'restart_limit': Parameter(
        5, 'a slot with more restarts than this within restart_window is failed', minimum=0
    ),
    'restart_window': _seconds(30.0, 'restarts are forgotten after this much healthy time', 0.1),
    'spares': Parameter(
        1, 'processes kept ready to become any worker', minimum=0, maximum=MAX_WORKERS
    ),
    'orphan_timeout': _seconds(30.0, 'a worker without a manager exits after this time', 0.0),
    'shutdown_timeout': _seconds(
        10.0, 'after SIGINT or SIGTERM, the time allowed for finishing items', 0.0
    ),
    'journal': Parameter(False, 'accepted items survive a crash of the manager'),
    'frame_memory': Parameter(
        256.0,
        'limit of the shared memory for camera frames and other large messages; 0: they are sent '
        'over sockets',
        'MB',
        minimum=0.0,
        maximum=1e6,
    ),
    'exit_when_done': Parameter(
        False,
        'exit when every source that is an input is exhausted and every item is finished',
    ),
}
STAGE_KEYS: dict[str, Parameter] = {
    'plugin': Parameter('', 'the class of the stage: module:Class'),
    'input': Parameter('', 'a stage or an absolute topic, or a list of them'),
    'period': _seconds(0.0, 'sources: time between two items', 0.0),
    'workers': Parameter(1, 'number of active workers', minimum=1, maximum=MAX_WORKERS),
    'standby': Parameter(
        0,
        'number of configured, inactive workers that can take over at once',
        minimum=0,
        maximum=MAX_WORKERS,
    ),
    'concurrency': Parameter(
        2, 'how many items one worker may hold at once', minimum=1, maximum=1000
    ),
    'queue_size': Parameter(
        10, 'how many items may wait for a worker', minimum=1, maximum=1_000_000
    ),
    'overflow': Parameter(
        'drop_oldest', 'what a full queue does', choices=tuple(each.value for each in Overflow)
    ),
    'accept_external': Parameter(
        False,
        'whether other nodes may publish on the output topics of the stages in input and context; '
        'the topic input of the stage is open to all',
    ),
    'stamps': Parameter(
        'header',
        'stamps of the messages that come by topics: those in their headers, or their arrival',
        choices=('header', 'arrival'),
    ),
    'stamp_offset': Parameter(
        0.0,
        'added to these stamps, as for a clock that is behind, or the time from capture to arrival',
        's',
        minimum=-4e9,
        maximum=4e9,
    ),
    'ordered': Parameter(True, 'whether outputs leave in the order in which the items came'),
    'task_timeout': _seconds(5.0, 'the time one item may take', 0.01),
    'startup_timeout': _seconds(30.0, 'the time from process start to active', 0.1),
    'max_attempts': Parameter(2, 'how often an item is tried before it is quarantined', minimum=1),
    'threads': Parameter(
        0,
        'threads that each library in a worker may use (BLAS, OpenMP, OpenCV, torch, onnxruntime); '
        "0: the worker's share of the cores",
        minimum=0,
        maximum=1024,
    ),
    'memory_limit': Parameter(
        0.0,
        'resident size above which a worker is replaced after its items; 0: no limit',
        'MB',
        minimum=0.0,
        maximum=1e6,
    ),
    'max_items_per_worker': Parameter(
        0,
        'after this many items a worker is replaced; 0: no limit',
        minimum=0,
        maximum=1_000_000_000,
    ),
    'max_worker_age': _seconds(0.0, 'a worker of this age is replaced; 0: no limit', 0.0),
}
# The keys of a stage that can be changed while the pipeline runs, as can its own parameters.
LIVE_STAGE_KEYS = (
    'workers',
    'standby',
    'concurrency',
    'queue_size',
    'task_timeout',
    'memory_limit',
    'max_items_per_worker',
    'max_worker_age',
)
# Tables within a stage's section; the keys in them are the user's.
STAGE_TABLES = ('context', 'params')
# Parameters that every ROS node has.
NODE_FLAGS = ('use_sim_time', 'start_type_description_service')
NODE_PARAMETERS = (*NODE_FLAGS, 'qos_overrides')

NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*\Z')
TOPIC = re.compile(r'(/[A-Za-z_][A-Za-z0-9_]*)+\Z')
PLUGIN = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*\Z')
RESERVED_NAMES = frozenset(
    {'manager', 'heartbeats', 'quarantine', 'stages', *PIPELINE_KEYS, *NODE_PARAMETERS}
)
