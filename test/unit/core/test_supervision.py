"""The supervision of one slot, move by move. Random histories: test_supervision_properties."""

from __future__ import annotations

import random
import sys

import pytest

from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.supervision import (
    MOVES,
    Action,
    Goal,
    IllegalMoveError,
    JoinPool,
    KillProcess,
    LeavePool,
    LinkVerified,
    Phase,
    ProcessExited,
    ProcessStarted,
    ReleaseItems,
    RequestTransition,
    StartProcess,
    StateReported,
    Supervision,
    TerminateProcess,
    Timing,
    WorkOverdue,
)

TIMING = Timing(heartbeat_timeout=1.0, startup_timeout=30.0, request_retry=0.5, terminate_grace=0.5)
PID = 100


def empty(**policy) -> Supervision:
    """A slot that nothing was asked of yet."""
    settings = {'backoff_max': 10.0, 'limit': 5, 'window': 30.0, **policy}
    return Supervision(RestartPolicy(random_source=random.Random(1), **settings), TIMING)


def starting(goal: Goal = Goal.ACTIVE, **policy) -> Supervision:
    """A slot at time 0.0 whose process was forked and has not been heard yet."""
    slot = empty(**policy)
    slot.set_goal(goal, 0.0)
    slot.handle(ProcessStarted(PID), 0.0)
    return slot


def ready(goal: Goal = Goal.ACTIVE, **policy) -> Supervision:
    """A slot at time 0.0 whose worker is heard, linked and at its goal."""
    slot = starting(goal, **policy)
    slot.handle(LinkVerified(PID), 0.0)
    slot.handle(StateReported(PID, goal.value), 0.0)
    assert slot.phase is Phase.READY
    return slot


def cordoned() -> Supervision:
    """A slot at time 0.0 whose worker somebody deactivated by hand."""
    slot = ready()
    slot.handle(StateReported(PID, 'inactive'), 0.0)
    assert slot.phase is Phase.CORDONED
    return slot


def ending() -> Supervision:
    """A slot at time 0.0 whose worker was killed and has not exited yet."""
    slot = ready()
    slot.handle(WorkOverdue('too long'), 0.0)
    assert slot.phase is Phase.ENDING
    return slot


def in_backoff() -> Supervision:
    """A slot that waits for its second restart; ``_due_at`` is when."""
    slot = ready()
    for pid in (PID, PID + 1):
        slot.handle(ProcessExited(pid, 'signal 9'), 0.0)
        if slot.phase is Phase.STARTING:
            slot.handle(ProcessStarted(PID + 1), 0.0)
    assert slot.phase is Phase.BACKOFF
    return slot


def stopping() -> Supervision:
    """A slot at time 0.0 whose active worker was asked to shut down within 2.0 s."""
    slot = ready()
    slot.set_goal(Goal.GONE, 0.0, grace=2.0)
    assert slot.phase is Phase.STOPPING
    return slot


def of_kind(actions: list[Action], kind: type) -> list[Action]:
    return [each for each in actions if isinstance(each, kind)]


# -- the arrows ----------------------------------------------------------------------------------


def test_empty_becomes_starting_when_a_worker_is_wanted():
    """EMPTY -> STARTING: one process is asked for, and told how far to drive itself."""
    slot = empty()
    assert slot.set_goal(Goal.INACTIVE, 5.0) == [StartProcess('inactive')]
    assert slot.phase is Phase.STARTING
    assert slot.started_at == 5.0


def test_starting_becomes_ready_when_linked_and_at_goal():
    """STARTING -> READY: it takes both, and then the worker joins the pool."""
    slot = starting()
    assert slot.handle(StateReported(PID, 'active'), 0.1) == []
    assert slot.phase is Phase.STARTING
    assert slot.handle(LinkVerified(PID), 0.2) == [JoinPool()]
    assert slot.phase is Phase.READY
    assert slot.at_goal


def test_starting_becomes_ready_when_at_goal_after_the_link():
    """STARTING -> READY: in the other order too."""
    slot = starting()
    assert slot.handle(LinkVerified(PID), 0.1) == []
    assert slot.phase is Phase.STARTING
    assert slot.handle(StateReported(PID, 'active'), 0.2) == [JoinPool()]
    assert slot.phase is Phase.READY


def test_starting_becomes_ready_without_joining_when_it_should_be_inactive():
    """STARTING -> READY: a standby is at its goal and is given no work."""
    slot = starting(Goal.INACTIVE)
    slot.handle(LinkVerified(PID), 0.1)
    assert slot.handle(StateReported(PID, 'inactive'), 0.2) == []
    assert slot.phase is Phase.READY
    assert slot.at_goal


def test_starting_becomes_ending_when_it_is_late():
    """STARTING -> ENDING: not before startup_timeout, and at it."""
    slot = starting()
    slot.handle(StateReported(PID, 'unconfigured'), 29.0)
    assert of_kind(slot.tick(29.9), KillProcess) == []
    assert slot.tick(30.0) == [KillProcess(PID, 'not ready within 30 s')]
    assert slot.phase is Phase.ENDING


def test_starting_becomes_ending_when_its_lifecycle_is_beyond_help():
    """STARTING -> ENDING: a worker whose configuration failed for good is not waited for."""
    slot = starting()
    actions = slot.handle(StateReported(PID, 'finalized'), 0.1)
    assert actions == [KillProcess(PID, 'lifecycle state is finalized')]
    assert slot.phase is Phase.ENDING


def test_starting_becomes_backoff_when_its_process_exits():
    """STARTING -> BACKOFF: and on to STARTING, as the first restart is immediate."""
    slot = starting()
    actions = slot.handle(ProcessExited(PID, 'exit code 1'), 0.1)
    assert actions == [ReleaseItems('exit code 1', suspect=True), StartProcess('active')]
    slot.handle(ProcessStarted(PID + 1), 0.1)
    slot.handle(ProcessExited(PID + 1, 'exit code 1'), 0.2)
    assert slot.phase is Phase.BACKOFF


def test_starting_becomes_backoff_when_its_process_could_not_be_started():
    """STARTING -> BACKOFF: a failed fork is a restart like any other."""
    slot = empty()
    slot.set_goal(Goal.ACTIVE, 0.0)
    assert slot.handle(ProcessExited(None, 'no memory'), 0.0)[-1] == StartProcess('active')
    actions = slot.handle(ProcessExited(None, 'no memory'), 0.0)
    assert of_kind(actions, StartProcess) == []
    assert slot.phase is Phase.BACKOFF
    assert (slot.last_exit, slot.restarts) == ('no memory', 2)


def test_starting_becomes_stopping_when_it_is_wanted_no_more():
    """STARTING -> STOPPING: a worker that was heard already is asked through its lifecycle."""
    slot = starting()
    slot.handle(StateReported(PID, 'inactive'), 0.1)
    assert slot.set_goal(Goal.GONE, 0.2) == [RequestTransition('shutdown')]
    assert slot.phase is Phase.STOPPING


def test_ready_becomes_cordoned_when_deactivated_by_hand():
    """READY -> CORDONED: it leaves the pool, and nobody activates it again."""
    slot = ready()
    assert slot.handle(StateReported(PID, 'inactive'), 0.5) == [LeavePool()]
    assert slot.phase is Phase.CORDONED
    assert slot.handle(StateReported(PID, 'inactive'), 1.0) == []
    assert slot.tick(1.5) == []


def test_ready_becomes_ending_when_silent():
    """READY -> ENDING: it leaves the pool and is killed once heartbeat_timeout is over."""
    slot = ready()
    slot.handle(StateReported(PID, 'active'), 5.0)
    assert slot.tick(6.0) == []
    assert slot.tick(6.1) == [LeavePool(), KillProcess(PID, 'no heartbeat for 1.10 s')]
    assert slot.phase is Phase.ENDING


def test_ready_becomes_ending_when_work_is_overdue():
    """READY -> ENDING: heartbeats or not."""
    slot = ready()
    actions = slot.handle(WorkOverdue('over 5 s at one item'), 0.5)
    assert actions == [LeavePool(), KillProcess(PID, 'over 5 s at one item')]
    assert slot.phase is Phase.ENDING


@pytest.mark.parametrize('state', ['finalized', 'errorprocessing'])
def test_ready_becomes_ending_when_its_lifecycle_is_beyond_help(state: str):
    """READY -> ENDING: finalised or in error, it is replaced, not cordoned."""
    slot = ready()
    actions = slot.handle(StateReported(PID, state), 0.5)
    assert actions == [LeavePool(), KillProcess(PID, f'lifecycle state is {state}')]
    assert slot.phase is Phase.ENDING


def test_ready_becomes_backoff_when_its_process_exits():
    """READY -> BACKOFF: out of the pool, its items released, and on to a new process at once."""
    slot = ready()
    assert slot.handle(ProcessExited(PID, 'signal 9'), 3.0) == [
        LeavePool(),
        ReleaseItems('signal 9', suspect=True),
        StartProcess('active'),
    ]
    assert slot.phase is Phase.STARTING
    assert (slot.pid, slot.restarts, slot.last_exit) == (None, 1, 'signal 9')


def test_ready_becomes_stopping_when_it_is_wanted_no_more():
    """READY -> STOPPING: out of the pool, and asked through its lifecycle."""
    slot = ready()
    assert slot.set_goal(Goal.GONE, 1.0) == [LeavePool(), RequestTransition('shutdown')]
    assert slot.phase is Phase.STOPPING


def test_cordoned_becomes_ready_when_activated_again():
    """CORDONED -> READY: the hand that took it out brought it back; it joins the pool."""
    slot = cordoned()
    assert slot.handle(StateReported(PID, 'active'), 0.5) == [JoinPool()]
    assert slot.phase is Phase.READY


def test_cordoned_becomes_ending_when_silent():
    """CORDONED -> ENDING: it is watched as any other."""
    slot = cordoned()
    assert slot.tick(1.1) == [KillProcess(PID, 'no heartbeat for 1.10 s')]
    assert slot.phase is Phase.ENDING


def test_cordoned_becomes_ending_when_work_is_overdue():
    """CORDONED -> ENDING: what it held when it was cordoned may still hang."""
    slot = cordoned()
    assert slot.handle(WorkOverdue('too long'), 0.5) == [KillProcess(PID, 'too long')]
    assert slot.phase is Phase.ENDING


def test_cordoned_becomes_backoff_when_its_process_exits():
    """CORDONED -> BACKOFF: the slot is filled anew."""
    slot = cordoned()
    assert slot.handle(ProcessExited(PID, 'signal 9'), 0.5) == [
        ReleaseItems('signal 9', suspect=True),
        StartProcess('active'),
    ]


def test_cordoned_becomes_stopping_when_it_is_wanted_no_more():
    """CORDONED -> STOPPING: it is shut down with the others."""
    slot = cordoned()
    assert slot.set_goal(Goal.GONE, 0.5) == [RequestTransition('shutdown')]
    assert slot.phase is Phase.STOPPING


def test_ending_becomes_backoff_only_when_its_process_has_exited():
    """ENDING -> BACKOFF: nothing takes its place before that, whatever is heard meanwhile."""
    slot = ending()
    for now in (0.1, 5.0, 100.0):
        assert slot.tick(now) == []
        assert slot.handle(StateReported(PID, 'active'), now) == []
        assert slot.handle(LinkVerified(PID), now) == []
        assert slot.handle(WorkOverdue('too long'), now) == []
        assert slot.set_goal(Goal.ACTIVE, now) == []
    assert slot.phase is Phase.ENDING
    actions = slot.handle(ProcessExited(PID, 'signal 9'), 100.1)
    assert actions == [ReleaseItems('signal 9', suspect=True), StartProcess('active')]


def test_ending_becomes_stopping_when_it_is_wanted_no_more():
    """ENDING -> STOPPING: killed already, it is not terminated first."""
    slot = ending()
    slot.set_goal(Goal.GONE, 0.1, grace=1.0)
    assert slot.phase is Phase.STOPPING
    later = [action for now in (0.5, 1.1, 1.6) for action in slot.tick(now)]
    assert of_kind(later, TerminateProcess) == []
    assert of_kind(later, KillProcess) != []


def test_backoff_becomes_starting_when_the_wait_is_over():
    """BACKOFF -> STARTING: not before, and once."""
    slot = in_backoff()
    due = slot._due_at
    assert 0.05 <= due <= 0.1
    assert slot.tick(due - 0.001) == []
    assert slot.tick(due) == [StartProcess('active')]
    assert slot.phase is Phase.STARTING
    assert slot.tick(due + 0.1) == []


def test_backoff_becomes_empty_when_it_is_wanted_no_more():
    """BACKOFF -> EMPTY: there is no process to wait for."""
    slot = in_backoff()
    assert slot.set_goal(Goal.GONE, 0.0) == []
    assert slot.phase is Phase.EMPTY
    assert slot.at_goal
    assert slot.tick(100.0) == []


def test_stopping_becomes_empty_when_its_process_has_exited():
    """STOPPING -> EMPTY: what it held is released without suspicion; nobody takes its place."""
    slot = stopping()
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 1.0) == [
        ReleaseItems('exit code 0', suspect=False)
    ]
    assert slot.phase is Phase.EMPTY
    assert (slot.at_goal, slot.restarts) == (True, 0)


def test_every_arrow_of_the_table_is_shown_by_a_test():
    """The docstrings above name each move that is allowed, and no other."""
    module = sys.modules[__name__]
    documented = {
        each.__doc__.split(':')[0]
        for name, each in vars(module).items()
        if name.startswith('test_') and ' -> ' in (each.__doc__ or '').split(':')[0]
    }
    allowed = {f'{a.name} -> {b.name}' for a, targets in MOVES.items() for b in targets}
    assert documented == allowed
    assert set(MOVES) == set(Phase)


def test_a_move_that_is_not_in_the_table_raises():
    """It names both ends: an error in the module is not passed over."""
    slot = empty()
    with pytest.raises(IllegalMoveError, match='EMPTY -> READY'):
        slot._move(Phase.READY)


def test_silence_that_nobody_could_hear_through_is_excused():
    """A manager that was held up itself does not blame its workers."""
    slot = ready()
    slot.handle(StateReported(PID, 'active'), 1.0)
    slot.excuse(2.0)
    assert slot.tick(3.9) == []
    assert slot.tick(4.1) == [LeavePool(), KillProcess(PID, 'no heartbeat for 1.10 s')]


# -- driving the worker through its lifecycle ----------------------------------------------------


@pytest.mark.parametrize(
    ('state', 'goal', 'label'),
    [
        ('unconfigured', Goal.ACTIVE, 'configure'),
        ('unconfigured', Goal.INACTIVE, 'configure'),
        ('inactive', Goal.ACTIVE, 'activate'),
        ('active', Goal.INACTIVE, 'deactivate'),
    ],
)
def test_a_worker_is_driven_towards_its_goal(state: str, goal: Goal, label: str):
    """Where it gets no further by itself, the transition that leads nearer is asked for."""
    slot = starting(goal)
    assert slot.handle(StateReported(PID, state), 1.0) == []
    assert slot.tick(1.4) == []
    assert slot.tick(1.5) == [RequestTransition(label)]


def test_a_worker_whose_goal_has_changed_since_its_birth_is_driven_at_once():
    """It was told to become inactive, and will not go further by itself."""
    slot = starting(Goal.INACTIVE)
    assert slot.handle(StateReported(PID, 'inactive'), 1.0) == []
    assert slot.set_goal(Goal.ACTIVE, 2.0) == [RequestTransition('activate')]


@pytest.mark.parametrize('state', ['configuring', 'activating', 'deactivating'])
def test_a_worker_in_transition_is_left_to_finish_it(state: str):
    """Nothing is asked of it meanwhile."""
    slot = starting()
    assert slot.handle(StateReported(PID, state), 1.0) == []


def test_a_request_is_repeated_after_a_while():
    """Not with every heartbeat, but every request_retry until the state has changed."""
    slot = ready(Goal.INACTIVE)
    assert slot.set_goal(Goal.ACTIVE, 1.0) == [RequestTransition('activate')]
    assert slot.handle(StateReported(PID, 'inactive'), 1.4) == []
    assert slot.tick(1.5) == [RequestTransition('activate')]
    assert slot.tick(1.6) == []


def test_a_standby_is_activated_and_joins():
    """From INACTIVE to ACTIVE: asked to activate, and in the pool once it says it is."""
    slot = ready(Goal.INACTIVE)
    assert slot.set_goal(Goal.ACTIVE, 0.5) == [RequestTransition('activate')]
    assert not slot.at_goal
    assert slot.handle(StateReported(PID, 'activating'), 0.6) == []
    assert slot.handle(StateReported(PID, 'active'), 0.7) == [JoinPool()]
    assert slot.at_goal


def test_a_paused_worker_leaves_the_pool_and_is_not_cordoned():
    """From ACTIVE to INACTIVE: out of the pool at once, deactivated, ready to come back."""
    slot = ready()
    assert slot.set_goal(Goal.INACTIVE, 0.5) == [LeavePool(), RequestTransition('deactivate')]
    assert slot.handle(StateReported(PID, 'inactive'), 0.6) == []
    assert (slot.phase, slot.at_goal) == (Phase.READY, True)
    assert slot.set_goal(Goal.ACTIVE, 1.1) == [RequestTransition('activate')]
    assert slot.handle(StateReported(PID, 'active'), 1.2) == [JoinPool()]


def test_a_pause_taken_back_before_it_happened_does_not_cordon():
    """The deactivation that then comes through was our own: the worker is activated again."""
    slot = ready()
    slot.set_goal(Goal.INACTIVE, 0.1)
    assert slot.set_goal(Goal.ACTIVE, 0.2) == [JoinPool()]
    assert slot.handle(StateReported(PID, 'inactive'), 0.7) == [
        LeavePool(),
        RequestTransition('activate'),
    ]
    assert slot.phase is Phase.READY
    assert slot.handle(StateReported(PID, 'active'), 0.8) == [JoinPool()]
    assert slot.handle(StateReported(PID, 'inactive'), 0.9) == [LeavePool()]
    assert slot.phase is Phase.CORDONED, 'the second time it was not we who asked'


def test_a_pause_that_has_happened_excuses_no_later_deactivation():
    """What is done by hand after it is done by hand: the worker is cordoned."""
    slot = ready()
    slot.set_goal(Goal.INACTIVE, 0.1)
    slot.handle(StateReported(PID, 'inactive'), 0.2)
    slot.handle(StateReported(PID, 'active'), 0.3)
    assert slot.set_goal(Goal.ACTIVE, 0.4) == [JoinPool()]
    assert slot.handle(StateReported(PID, 'inactive'), 0.5) == [LeavePool()]
    assert slot.phase is Phase.CORDONED


def test_a_cordoned_worker_stays_out_while_the_pipeline_pauses_and_resumes():
    """Only the hand that took it out brings it back."""
    slot = cordoned()
    assert slot.set_goal(Goal.INACTIVE, 0.1) == []
    assert slot.set_goal(Goal.ACTIVE, 0.2) == []
    assert slot.phase is Phase.CORDONED
    assert not slot.at_goal


def test_a_goal_set_twice_starts_one_process():
    """The second time there is nothing to do."""
    slot = empty()
    assert slot.set_goal(Goal.ACTIVE, 0.0) == [StartProcess('active')]
    assert slot.set_goal(Goal.ACTIVE, 0.0) == []


# -- what belongs to another time ----------------------------------------------------------------


@pytest.mark.parametrize(
    'event',
    [
        ProcessExited(PID - 1, 'signal 9'),
        ProcessExited(None, 'could not be started'),
        StateReported(PID - 1, 'finalized'),
        LinkVerified(PID - 1),
    ],
)
def test_what_is_told_of_another_process_changes_nothing(event):
    """Events of a process that the slot has left behind are passed over."""
    slot = starting()
    assert slot.handle(event, 0.1) == []
    assert (slot.phase, slot.pid, slot.state) == (Phase.STARTING, PID, '')
    slot.handle(StateReported(PID, 'active'), 0.2)
    assert slot.phase is Phase.STARTING, 'not linked by another one'


@pytest.mark.parametrize('make', [empty, in_backoff])
def test_a_failed_start_told_twice_changes_nothing(make):
    """Without a process, and none asked for, there is none whose end would matter."""
    slot = make()
    phase, restarts = slot.phase, slot.restarts
    assert slot.handle(ProcessExited(None, 'no memory'), 0.0) == []
    assert (slot.phase, slot.restarts) == (phase, restarts)


@pytest.mark.parametrize('make', [empty, starting, ending, in_backoff, stopping])
def test_overdue_work_matters_only_where_there_is_work(make):
    """A slot whose worker is not at work is not killed for the work of another."""
    slot = make()
    phase = slot.phase
    assert slot.handle(WorkOverdue('too long'), 0.0) == []
    assert slot.phase is phase


def test_a_new_process_starts_with_nothing_of_the_former():
    """Neither its lifecycle state nor its link nor its place in the pool is inherited."""
    slot = ready()
    slot.handle(ProcessExited(PID, 'signal 9'), 1.0)
    slot.handle(ProcessStarted(PID + 1), 1.0)
    assert (slot.pid, slot.state, slot.started_at) == (PID + 1, '', 1.0)
    assert slot.handle(StateReported(PID + 1, 'active'), 1.1) == []
    assert slot.phase is Phase.STARTING
    assert slot.handle(LinkVerified(PID + 1), 1.2) == [JoinPool()]


def test_a_start_is_not_late_before_there_is_a_process():
    """There is nothing to kill yet; once there is, the lateness counts."""
    slot = empty()
    slot.set_goal(Goal.ACTIVE, 0.0)
    assert slot.tick(31.0) == []
    slot.handle(ProcessStarted(PID), 31.0)
    assert slot.tick(31.1) == [KillProcess(PID, 'not ready within 30 s')]


# -- stopping ------------------------------------------------------------------------------------


def test_stopping_presses_harder_and_harder():
    """Asked again and again, then SIGTERM after the grace, then SIGKILL until it is gone."""
    slot = stopping()
    assert slot.tick(0.4) == []
    assert slot.tick(0.5) == [RequestTransition('shutdown')]
    assert slot.tick(2.0) == [TerminateProcess(PID)]
    assert slot.tick(2.4) == [RequestTransition('shutdown')]
    assert slot.tick(2.45) == []
    assert slot.tick(2.5) == [KillProcess(PID, 'did not end in time')]
    assert slot.tick(3.0) == [KillProcess(PID, 'did not end in time')]


def test_a_worker_never_heard_is_not_asked_but_terminated():
    """Who has not spoken yet may have no services; the signals remain."""
    slot = starting()
    assert slot.set_goal(Goal.GONE, 0.0, grace=1.0) == []
    assert slot.tick(0.9) == []
    assert slot.tick(1.0) == [TerminateProcess(PID)]


def test_a_process_that_starts_while_stopping_is_ended_too():
    """It was asked for before the goal changed: it is pressed as soon as it has a pid."""
    slot = empty()
    slot.set_goal(Goal.ACTIVE, 0.0)
    assert slot.set_goal(Goal.GONE, 0.1, grace=1.0) == []
    assert slot.tick(2.0) == []
    slot.handle(ProcessStarted(PID), 2.1)
    assert slot.tick(2.2) == [TerminateProcess(PID)]
    slot.handle(ProcessExited(PID, 'signal 15'), 2.3)
    assert slot.phase is Phase.EMPTY


def test_a_worker_wanted_again_while_stopping_is_started_when_the_old_one_is_gone():
    """Never two at once: the shutdown goes on, and then a new process takes the slot."""
    slot = stopping()
    assert slot.set_goal(Goal.ACTIVE, 0.1) == []
    assert slot.phase is Phase.STOPPING
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.5) == [
        ReleaseItems('exit code 0', suspect=False),
        StartProcess('active'),
    ]
    assert (slot.phase, slot.restarts) == (Phase.STARTING, 0)


def test_stopping_twice_does_not_begin_anew():
    """The grace runs from the first time."""
    slot = stopping()
    assert slot.set_goal(Goal.GONE, 1.9, grace=2.0) == []
    assert slot.tick(2.0) == [TerminateProcess(PID)]


# -- what people are told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('make', 'state'),
    [
        (empty, 'finalized'),
        (starting, 'starting'),
        (ready, 'active'),
        (cordoned, 'inactive'),
        (ending, 'replacing'),
        (in_backoff, 'replacing'),
        (stopping, 'active'),
    ],
)
def test_the_reported_state_says_where_the_worker_stands(make, state: str):
    """Its lifecycle state where it has one that counts, or the contract's word."""
    assert make().reported_state(0.0) == state


def test_a_replacement_is_reported_as_replacing_until_it_is_ready():
    """Only a slot's first worker is 'starting'."""
    slot = ready()
    slot.handle(ProcessExited(PID, 'signal 9'), 0.0)
    slot.handle(ProcessStarted(PID + 1), 0.0)
    assert slot.reported_state(0.0) == 'replacing'


def test_a_slot_that_restarts_too_often_is_reported_as_failed_and_keeps_trying():
    """More than restart_limit within restart_window: 'failed', and yet there is a next start."""
    slot = starting(limit=2)
    for pid in range(PID, PID + 3):
        slot.handle(ProcessExited(pid, 'exit code 1'), 0.0)
        slot.tick(0.0 if slot.phase is Phase.STARTING else slot._due_at)
        slot.handle(ProcessStarted(pid + 1), 0.0)
    assert slot.reported_state(0.0) == 'failed'
    slot.handle(LinkVerified(PID + 3), 1.0)
    slot.handle(StateReported(PID + 3, 'active'), 1.0)
    assert slot.reported_state(1.0) == 'active'


def test_a_stopping_worker_that_was_never_heard_is_reported_as_starting():
    """There is no lifecycle state to report yet."""
    slot = starting()
    slot.set_goal(Goal.GONE, 0.0)
    assert slot.reported_state(0.0) == 'starting'
