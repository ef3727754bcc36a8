"""What a stage and its worker say to each other, beside the items themselves."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import attrs
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from worker_pipeline.nodes.participation import Participation
from worker_pipeline.runtime import answers, line
from worker_pipeline.runtime.answers import Answer
from worker_pipeline.runtime.line import Frame


@attrs.frozen
class WorkerSpec:
    """All that a worker process is told when it is born."""

    namespace: str  # of the pipeline: /airside
    stage: str
    slot: str  # worker_0
    plugin: str
    params: Mapping[str, Any]
    contexts: Mapping[str, tuple[str, bool]]  # name: (topic, whether it is latched)
    concurrency: int
    target: str  # the lifecycle state to go to by itself
    heartbeat_period: float  # s
    orphan_timeout: float  # s
    manager_pid: int
    participation: Participation
    page: str = ''  # path of its vital signs
    state: str = ''  # path of its stage's state; '' for a stage that does not remember
    line: str = ''  # path of the socket at which the manager takes calls
    lock: str = ''  # path of the file that names the pipeline's manager
    frames: str = ''  # path of the folder of frames
    frame_memory: int = 0  # bytes that its frames may take; 0: it makes none
    keep_held: bool = False  # whether to keep what it holds in a file when the manager dies

    @property
    def name(self) -> str:
        """The worker's name in heartbeats: ``detect_target/worker_0``."""
        return f'{self.stage}/{self.slot}'


def fit_of(spec: WorkerSpec) -> int:
    """A number for all that makes a worker fit its slot: another configuration gives another."""
    lasting = attrs.evolve(
        spec,
        target='',
        manager_pid=0,
        participation=attrs.evolve(spec.participation, number=0, folder=''),
        page='',
        state='',
        lock='',
        frames='',
        keep_held=False,
    )
    digest = hashlib.blake2b(repr(lasting).encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'little')


def hello(stage: str, slot: str, has: list[int], last_frame: int = 0) -> Frame:
    """What a worker says first. ``has``: the items that it has received, answered or not."""
    return Frame(line.HELLO, last_frame, marshal.dumps((stage, slot, has)))


def read_hello(frame: Frame) -> tuple[str, str, set[int]]:
    """The stage, the slot, and the items."""
    stage, slot, has = marshal.loads(frame.body)
    return stage, slot, set(has)


class StateReport(NamedTuple):
    """How a worker stands."""

    values: dict[str, str]  # its ``state``, and more
    failure: str  # of a hook; '' where none failed
    level: str  # what its stage says of itself: as ``worker_pipeline.StageStatus`` has it
    message: str
    own: dict[str, str]  # and what else it shows


def state_report(report: StateReport) -> Frame:
    """A report as it goes by the line."""
    return Frame(line.STATE, 0, marshal.dumps(tuple(report)))


def read_state_report(frame: Frame) -> StateReport:
    """The report that a frame is."""
    return StateReport(*marshal.loads(frame.body))


def looks_at(references: list[bytes]) -> Frame:
    """The frames, by their references, that a worker was given and has not let go of."""
    return Frame(line.LOOKS_AT, 0, marshal.dumps(references))


def read_looks_at(frame: Frame) -> list[bytes]:
    """The references."""
    return list(marshal.loads(frame.body))


def numbers(frames: Iterable[int]) -> bytes:
    """Numbers of frames, as the body of what is said about them."""
    return marshal.dumps(list(frames))


def read_numbers(body: bytes) -> list[int]:
    """The numbers."""
    return list(marshal.loads(body))


def frame_of(answer: Answer) -> Frame:
    """An answer as it goes by the line."""
    if answer.kind == answers.OUTPUT:
        return Frame(line.OUTPUT, answer.number, answer.output)
    return Frame(
        line.OUTCOME,
        answer.number,
        f'{answer.kind}\n{answer.text}'.encode(errors='backslashreplace'),
    )


def answer_of(frame: Frame) -> Answer:
    """The answer that a frame is."""
    if frame.kind == line.OUTPUT:
        return Answer(frame.number, answers.OUTPUT, output=frame.body)
    kind, _, text = frame.body.decode().partition('\n')
    return Answer(frame.number, kind, text)


def outcome(worker: str, kind: str, number: int, text: str = '') -> DiagnosticStatus:
    """An answer without an output, as others see it."""
    level = DiagnosticStatus.ERROR if kind == answers.ERROR else DiagnosticStatus.OK
    values = {'number': str(number), 'text': text} if text else {'number': str(number)}
    return DiagnosticStatus(level=level, name=worker, message=kind, values=key_values(values))


def key_values(values: Mapping[str, Any]) -> list[KeyValue]:
    """A mapping as diagnostics carry it."""
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]
