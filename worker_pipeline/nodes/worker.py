"""A worker: one lifecycle node, in a process of its own, that runs one stage's code."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from worker_pipeline.context import NANOSECONDS, ContextBuffer
from worker_pipeline.exit_codes import EXIT_STAGE_FAILED
from worker_pipeline.nodes import qos, worker_contract
from worker_pipeline.nodes.executor import create_executor
from worker_pipeline.nodes.lifecycle import ManagedNode, until
from worker_pipeline.nodes.matched_subscription import MatchedSubscription
from worker_pipeline.nodes.participation import taking_part
from worker_pipeline.nodes.shown_topic import ShownTopic, listen
from worker_pipeline.nodes.stage_logger import stage_logger
from worker_pipeline.nodes.stage_topics import make_topics
from worker_pipeline.nodes.worker_contract import StateReport, WorkerSpec
from worker_pipeline.runtime import answers, line
from worker_pipeline.runtime.answers import Answer, RecentAnswers
from worker_pipeline.runtime.frame_messages import FrameMessages, make_writer
from worker_pipeline.runtime.frame_reader import FrameReader
from worker_pipeline.runtime.frame_reference import decode, is_reference
from worker_pipeline.runtime.line import Frame
from worker_pipeline.runtime.manager_line import ManagerLine
from worker_pipeline.runtime.pipeline_folder import Held, forget_page, manager_of, write_held
from worker_pipeline.runtime.plugins import load_stage_class
from worker_pipeline.runtime.proc import call_this_process
from worker_pipeline.runtime.saved_state import SavedState
from worker_pipeline.runtime.stage_runner import StageFailedError, StageRunner
from worker_pipeline.runtime.vital_signs import VitalSigns
from worker_pipeline.stage import Stage

ANSWER_TIME = 0.1  # s
RECONNECT_PERIOD = 0.02  # s
EXIT_HOOK_FAILED = 70  # EX_SOFTWARE
EXIT_INTERNAL_ERROR = 71  # EX_OSERR
EXIT_ORPHANED = 75  # EX_TEMPFAIL


class WorkerNode(ManagedNode):
    """Takes items from its line, and answers each exactly once.

    Its topics ``work``, ``result`` and ``outcome`` show the same to whoever else listens.
    """

    def __init__(self, spec: WorkerSpec, stage: Stage) -> None:
        super().__init__(
            spec.slot,
            namespace=f'{spec.namespace}/{spec.stage}',
            use_global_arguments=False,
            allow_undeclared_parameters=True,
            enable_rosout=True,
        )
        self.spec = spec
        self.exit_code = 0
        self.failure = ''
        self._hardware_id = f'{socket.gethostname()}:{os.getpid()}'
        stage_class = type(stage)
        for key, value in stage.params.items():
            self.declare_parameter(key, value)
        self.refuse_changes_of_parameters()
        stage.logger = stage_logger(self)
        stage.topic = make_topics(self, stage_class.topics)
        self.signs = VitalSigns(Path(spec.page))
        self._recent = RecentAnswers(spec.concurrency)
        saved = SavedState(Path(spec.state)) if spec.state else None
        self.line = ManagerLine(Path(spec.line), self._hello, self._on_frame)
        self._messages = FrameMessages(
            stage_class.input_type,
            stage_class.output_type,
            make_writer(Path(spec.frames), os.getpid(), spec.frame_memory),
            FrameReader(Path(spec.frames)),
            self.get_logger().warning,
        )
        stage.lend = self._messages.lend
        self._saying = threading.Lock()
        self._looked_at: list[bytes] = []
        # The number of the last frame that an answer was given with; and those that were said
        # (again) to the manager there is, which knows of them by that.
        self._last_frame = 0
        self._said_again: list[int] = []
        self.runner = StageRunner(
            stage, self._messages, self.signs, self._recent, self.say, saved, self.line
        )
        work_qos = qos.work(spec.concurrency)
        self._input_type = stage_class.input_type
        self._output_type = stage_class.output_type
        self._result, self._outcome = (
            ShownTopic(self, kind, f'{spec.slot}/{name}', work_qos, self.get_namespace())
            for kind, name in ((self._output_type, 'result'), (DiagnosticStatus, 'outcome'))
        )
        self._heartbeat = self.create_publisher(
            DiagnosticStatus, f'{spec.namespace}/heartbeats', qos.HEARTBEATS
        )
        self._contexts: list[MatchedSubscription] = []
        for name, (topic, is_latched) in spec.contexts.items():
            buffer: ContextBuffer = stage.context[name]
            kind = stage_class.contexts[name]
            if is_latched:
                self.create_subscription(kind, topic, buffer.add, qos.latched(qos.CONTEXT_DEPTH))
            else:
                profile = qos.reliable(qos.CONTEXT_DEPTH)
                self._contexts.append(MatchedSubscription(self, kind, topic, buffer.add, profile))
        listen(self, self._input_type, f'{spec.slot}/work', work_qos)
        self.create_timer(
            spec.heartbeat_period,
            self._on_heartbeat,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    # -- lifecycle: the stage's hooks, on the main thread ----------------------------------------

    async def start(self) -> None:
        """Call, and go to the state that was asked for at birth."""
        self.line.connect()
        steps = ['configure'] if self.spec.target == 'inactive' else ['configure', 'activate']
        for step in steps:
            if not await self.transition(step):
                return

    async def do_configure(self) -> None:
        await self._on_main_thread(self._configure)

    async def do_activate(self) -> None:
        await self._on_main_thread(self._activate)

    async def do_deactivate(self) -> None:
        await self._on_main_thread(self._deactivate)

    async def do_cleanup(self) -> None:
        await self._on_main_thread(self.runner.stage.cleanup)

    async def do_shutdown(self) -> None:
        if self.runner.accepting:
            await self._on_main_thread(self._deactivate)
        await self._on_main_thread(self.runner.stage.cleanup)
        self.runner.close()

    async def do_error(self, error: Exception) -> bool:
        # A stage whose hook failed is in no known state: the process ends, and the manager
        # begins a new one from the beginning.
        self.failure = f'{type(error).__name__}: {error}'
        self.exit_code = EXIT_HOOK_FAILED
        self.signs.say(self.failure)
        self.send_heartbeat()
        self.runner.close()
        return False

    def state_changed(self) -> None:
        # At once, not at the next period: the manager waits for it.
        self.send_heartbeat()

    def _configure(self) -> None:
        self.runner.stage.configure()
        self.runner.restore()

    def _activate(self) -> None:
        self.runner.stage.activate()
        self.runner.accepting = True

    def _deactivate(self) -> None:
        self.runner.accepting = False
        self.runner.stage.deactivate()

    async def _on_main_thread(self, call: Callable[[], None]) -> None:
        job = self.runner.submit(call)
        await until(lambda: job.done)
        if job.error is not None:
            raise job.error

    # -- heartbeats ------------------------------------------------------------------------------

    def _on_heartbeat(self) -> None:
        # The main thread may be at an item for long: what comes meanwhile is held, too.
        self.line.read()
        if self._looked_at and not self.runner.holding:
            # What the stage has let go of since its last answer. Between items, as one that is
            # about to be answered may pass a frame on.
            self.runner.submit(self._say_what_is_looked_at)
        self.send_heartbeat()
        for topic in (self._result, self._outcome):
            topic.look_round()

    def send_heartbeat(self) -> None:
        """Tell the manager that this process lives, and how it stands."""
        if self.state == 'finalized':
            # It would kill us at our end, which comes by itself; whoever asked for it is still to
            # be answered.
            return
        values = self._standing()
        self.line.send(*self._report(values))
        self._heartbeat.publish(
            DiagnosticStatus(
                level=DiagnosticStatus.ERROR if self.failure else DiagnosticStatus.OK,
                name=self.spec.name,
                message=self.failure or self.state,
                hardware_id=self._hardware_id,
                values=worker_contract.key_values(values),
            )
        )

    def _standing(self) -> dict[str, str]:
        signs = self.signs.read()
        busy = (time.monotonic_ns() - signs.since) / NANOSECONDS if signs.in_work else 0.0
        return {
            'state': self.state,
            'processed': str(self.runner.processed),
            'in_flight': str(len(self.runner.holding)),
            'busy_s': f'{busy:.3f}',
        }

    def _report(self, values: dict[str, str]) -> Frame:
        told = self.runner.stage.status.told()
        return worker_contract.state_report(StateReport(values, self.failure, *told))

    # -- the line --------------------------------------------------------------------------------

    def _hello(self) -> Iterator[Frame]:
        """Who we are, and what a new manager may not have heard."""
        # The answers last: what is held may be answered meanwhile, and is then among them. So is
        # every frame up to this one, as far as an earlier manager may not have heard of it; one
        # that was written, and is yet to be answered with, has a higher number.
        last_frame = self._last_frame
        holding = list(self.runner.holding)
        recent = self._recent.all()
        has = [*holding, *(answer.number for answer in recent)]
        self._said_again = self._own_frames(each.output for each in recent)
        yield worker_contract.hello(self.spec.stage, self.spec.slot, has, last_frame)
        # Not what was told last: an answer may be among them that was yet to be told with it.
        self._looked_at = self._messages.looked_at()
        yield worker_contract.looks_at(self._looked_at)
        yield self._report(self._standing())
        for answer in recent:
            yield worker_contract.frame_of(answer)

    def _on_frame(self, frame: Frame) -> None:
        if frame.kind == line.ITEM:
            self.runner.offer(frame.number, frame.body)
        elif frame.kind == line.RELEASE:
            self._messages.release(worker_contract.read_numbers(frame.body))
        elif frame.kind == line.NEEDED:
            needed = worker_contract.read_numbers(frame.body)
            # What the stage has kept of its own answers the manager is yet to hear of.
            looked_at = self._own_frames(self._messages.looked_at())
            self._messages.release_all_but([*needed, *self._said_again, *looked_at], frame.number)
        elif frame.kind == line.REQUEST:
            self.executor.create_task(self.transition, frame.body.decode())

    def held(self) -> Held:
        """What nobody else has while there is no manager."""
        return Held(dict(self.runner.holding), self._messages.looked_at())

    def say(self, answer: Answer) -> None:
        """Answer an item; also once more."""
        with self._saying:  # what is said again, another thread says
            self._last_frame = max(self._last_frame, *self._own_frames([answer.output]), 0)
            # Whatever the stage has kept is told before the answer, by which the item is done and
            # its frame no longer needed for it; what it has let go, after it: it may be passed on.
            looked_at = self._messages.looked_at()
            if looked_at:
                self._say_looked_at([*dict.fromkeys([*self._looked_at, *looked_at])])
            self.line.send(*worker_contract.frame_of(answer))
            self._say_looked_at(looked_at)
        if answer.kind == answers.OUTPUT:
            if self._result.is_watched:
                self._result.show(self._messages.whole(answer.output))
        elif self._outcome.is_watched:
            self._outcome.show(
                worker_contract.outcome(self.spec.name, answer.kind, answer.number, answer.text)
            )

    @staticmethod
    def _own_frames(payloads: Iterable[bytes]) -> list[int]:
        """The numbers of the frames in them, but for those that others have made."""
        references = (decode(each) for each in payloads if is_reference(each))
        return [each.frame for each in references if each.producer == os.getpid()]

    def _say_what_is_looked_at(self) -> None:
        with self._saying:
            self._say_looked_at(self._messages.looked_at())

    def _say_looked_at(self, references: list[bytes]) -> None:
        if references != self._looked_at:
            self._looked_at = references
            self.line.send(*worker_contract.looks_at(references))


class _Life:
    """The thread that shows that this process runs, and ends it when nobody has need of it.

    It beats by itself: a worker that is stopped, or whose code holds Python's lock, does not, while
    one that waits for DDS does. When the manager dies it waits for another one.
    """

    def __init__(self, spec: WorkerSpec, signs: VitalSigns) -> None:
        self._spec = spec
        self._signs = signs
        self._manager = spec.manager_pid
        self._kept: list[int | bytes] = []
        self.node: WorkerNode | None = None  # as soon as there is one

    def begin(self) -> None:
        """Begin to beat. A worker that is born after its manager's death ends at once."""
        self._signs.born()
        if manager_of(Path(self._spec.lock)) != self._manager:
            os._exit(EXIT_ORPHANED)
        threading.Thread(target=self._run, name='life', daemon=True).start()

    def _run(self) -> None:
        while True:
            self._beat_while_managed()
            if self.node is not None:
                self.node.line.read(everything=True)  # the last that it has said
            deadline = time.monotonic() + self._spec.orphan_timeout
            while (manager := manager_of(Path(self._spec.lock))) is None:
                if time.monotonic() > deadline:
                    self._end(f'no manager for {self._spec.orphan_timeout:g} s')
                if self._spec.keep_held:
                    self._keep_held()
                time.sleep(min(self._spec.heartbeat_period, RECONNECT_PERIOD))
                self._signs.beat()
            self._manager = manager
            if not self._signs.path.exists():
                # By its page a manager finds a worker. This one would live on beside another that
                # has its name.
                self._end('what a new manager would know it by was taken away')

    def _beat_while_managed(self) -> None:
        try:
            pidfd = os.pidfd_open(self._manager)
        except ProcessLookupError:
            return
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        pause = self._spec.heartbeat_period
        while not poll.poll(pause * 1e3):
            self._signs.beat()
            node = self.node
            is_cut_off = node is not None and not node.line.connected
            if node is not None and is_cut_off:
                node.line.connect()
            pause = min(pause, RECONNECT_PERIOD) if is_cut_off else self._spec.heartbeat_period
        os.close(pidfd)

    def _keep_held(self) -> None:
        """Write down what nobody else has now, for the next manager to give out again."""
        if self.node is None:
            return
        held = self.node.held()
        kept = [*held.items, *(held.looks or ())]
        if kept != self._kept:
            with contextlib.suppress(OSError):  # no room: tried again
                write_held(self._signs, held)
                self._kept = kept

    def _end(self, why: str) -> None:
        with contextlib.suppress(OSError):  # nobody may be left to read it
            print(f'{self._spec.name}: {why}; ending', file=sys.stderr, flush=True)
        forget_page(self._signs)
        os._exit(EXIT_ORPHANED)


def run_worker(spec: WorkerSpec, idle: Node | None = None) -> None:
    """The life of a worker process, from its fork to its exit. Called on its main thread.

    ``idle``: a node that it has already, and with it its part in ROS. Exit code 0: shut down; 70: a
    hook raised, or an item failed and the class has restart_on_error; 71: an error of its own;
    75: without a manager for orphan_timeout.
    """
    # A stop is the manager's to order. SIGTERM keeps its default: it ends a worker at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Which worker it is has to be told, of which stage as well as there is room.
    call_this_process(f'{spec.stage[: 14 - len(spec.slot)]}/{spec.slot}')
    life = _Life(spec, VitalSigns(Path(spec.page)))
    life.begin()
    stage = load_stage_class(spec.plugin)()
    buffers = {name: ContextBuffer(qos.CONTEXT_DEPTH) for name in spec.contexts}
    stage.bind(spec.params, buffers)
    if idle is None:
        with taking_part(spec.participation):
            node = WorkerNode(spec, stage)
    else:
        node = WorkerNode(spec, stage)
        idle.destroy_node()
    life.node = node
    executor = create_executor()
    executor.add_node(node)
    running = True

    def spin() -> None:
        try:
            while running:
                executor.spin_once(timeout_sec=0.5)
        except Exception:
            # Without its executor a worker is of no use. Its end is seen at once.
            traceback.print_exc()
            os._exit(EXIT_INTERNAL_ERROR)

    spinner = threading.Thread(target=spin, name='executor', daemon=True)
    spinner.start()
    executor.create_task(node.start)
    try:
        node.runner.run()
    except StageFailedError as error:
        # Its manager finds why, and the item in work: both by what it sees of the dead.
        node.signs.say(str(error))
        os._exit(EXIT_STAGE_FAILED)
    # The answer to a shutdown request is sent by the executor.
    deadline = time.monotonic() + 1.0
    while node.state != 'finalized' and time.monotonic() < deadline:
        time.sleep(0.001)
    if node.exit_code == 0:
        # In a later turn; and whoever asked drops it if he hears first that we have left.
        time.sleep(ANSWER_TIME)
    running = False
    executor.create_task(lambda: None)  # wakes the executor
    spinner.join(1.0)
    # Destroyed by hand: a multiprocessing child skips what would do it at exit, and the others
    # would take it for lost, its shared memory left behind.
    node.destroy_node()
    rclpy.shutdown()
    sys.exit(node.exit_code)
