"""The supervision of one slot, move by move. Random histories: test_supervision_properties."""

from __future__ import annotations

import random
import sys

import pytest

from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.supervision import (
    MOVES,
    Action,
    Alive,
    Goal,
    IllegalMoveError,
    JoinPool,
    KillProcess,
    LeavePool,
    LimitExceeded,
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
)

TIMING = Timing(
    heartbeat_timeout=1.0,
    startup_timeout=30.0,
    request_retry=0.5,
    terminate_grace=0.5,
    adoption_grace=5.0,
    link_grace=5.0,
)
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


def adopted(goal: Goal = Goal.ACTIVE) -> Supervision:
    """A slot at time 0.0 that has adopted a process, which has not been heard yet."""
    slot = empty()
    assert slot.adopt(PID, goal, 0.0) == []
    assert slot.phase is Phase.STARTING
    return slot


def retiring(grace: float = 2.0) -> Supervision:
    """A slot at time 0.0 whose active worker is to be replaced."""
    slot = ready()
    assert slot.retire(0.0, grace) == [LeavePool(), RequestTransition('shutdown')]
    assert slot.phase is Phase.STOPPING
    return slot


def keep_up(slot: Supervision, until: float, state: str = 'active', since: float = 0.0) -> None:
    """Report the same state twice a second, and let time pass: nothing is to happen."""
    for half in range(round(2 * since) + 1, round(2 * until) + 1):
        assert slot.handle(StateReported(PID, state), half / 2) == []
        assert slot.tick(half / 2) == []


def cordoned() -> Supervision:
    """A slot at time 0.0 whose worker somebody deactivated by hand."""
    slot = ready()
    slot.handle(StateReported(PID, 'inactive'), 0.0)
    assert slot.phase is Phase.CORDONED
    return slot


def ending() -> Supervision:
    """A slot at time 0.0 whose worker was killed and has not exited yet."""
    slot = ready()
    slot.handle(LimitExceeded(PID, 'too long'), 0.0)
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


def test_starting_becomes_ending_when_a_limit_is_exceeded():
    """STARTING -> ENDING: what a hook loads may be more than there is memory for."""
    slot = starting()
    assert slot.handle(LimitExceeded(PID, 'over 2 GB'), 0.1) == [KillProcess(PID, 'over 2 GB')]
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


def test_ready_becomes_ending_when_a_limit_is_exceeded():
    """READY -> ENDING: heartbeats or not."""
    slot = ready()
    actions = slot.handle(LimitExceeded(PID, 'over 5 s at one item'), 0.5)
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


def test_cordoned_becomes_ending_when_a_limit_is_exceeded():
    """CORDONED -> ENDING: what it held when it was cordoned may still hang."""
    slot = cordoned()
    assert slot.handle(LimitExceeded(PID, 'too long'), 0.5) == [KillProcess(PID, 'too long')]
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
        assert slot.handle(LimitExceeded(PID, 'too long'), now) == []
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
        slot._move(Phase.READY, 0.0)


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


def test_a_cordoned_worker_is_as_it_should_be_while_the_pipeline_pauses():
    """Inactive is inactive, whoever brought it about; in other states it is not at its goal."""
    slot = cordoned()
    assert not slot.at_goal
    slot.set_goal(Goal.INACTIVE, 0.1)
    assert slot.at_goal
    slot.handle(StateReported(PID, 'unconfigured'), 0.2)
    assert not slot.at_goal
    assert slot.handle(StateReported(PID, 'active'), 0.3) == []
    assert (slot.phase, slot.at_goal) == (Phase.CORDONED, False)
    assert slot.set_goal(Goal.ACTIVE, 0.4) == [JoinPool()]
    assert (slot.phase, slot.at_goal) == (Phase.READY, True)


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
        LimitExceeded(PID - 1, 'too long'),
        Alive(PID - 1),
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


@pytest.mark.parametrize('make', [empty, ending, in_backoff, stopping, retiring])
def test_a_limit_matters_only_where_there_is_a_worker_to_kill(make):
    """One that is on its way out already is pressed as it is."""
    slot = make()
    phase = slot.phase
    assert slot.handle(LimitExceeded(PID, 'too long'), 0.0) == []
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


def test_a_sign_of_life_of_another_process_is_none():
    """The slot's own worker is silent, whoever else lives."""
    slot = ready()
    slot.handle(Alive(PID - 1), 0.9)
    slot.handle(StateReported(PID - 1, 'active'), 0.9)
    assert of_kind(slot.tick(1.1), KillProcess) != []


def test_a_start_that_is_never_told_is_one_that_failed():
    """After startup_timeout, as if the process could not be started; a restart like any other."""
    slot = empty()
    slot.set_goal(Goal.ACTIVE, 0.0)
    assert slot.tick(29.9) == []
    reason = 'its start was not told within 30 s'
    assert slot.tick(30.0) == [ReleaseItems(reason, suspect=True), StartProcess('active')]
    assert (slot.phase, slot.restarts, slot.last_exit) == (Phase.STARTING, 1, reason)
    assert slot.tick(59.9) == []
    assert of_kind(slot.tick(60.0), StartProcess) == []
    assert slot.phase is Phase.BACKOFF


def test_a_start_that_is_never_told_does_not_keep_a_slot_from_stopping():
    """Nobody waits longer for it than if the worker were still wanted."""
    slot = empty()
    slot.set_goal(Goal.ACTIVE, 0.0)
    slot.set_goal(Goal.GONE, 1.0)
    assert slot.tick(29.9) == []
    assert of_kind(slot.tick(30.0), StartProcess) == []
    assert slot.phase is Phase.EMPTY


def given_up() -> Supervision:
    """A slot in BACKOFF at time 60.0 that has waited in vain for news of two starts."""
    slot = empty()
    slot.set_goal(Goal.ACTIVE, 0.0)
    slot.tick(30.0)
    slot.tick(60.0)
    assert slot.phase is Phase.BACKOFF
    return slot


def test_a_process_told_of_after_it_was_given_up_takes_the_slot():
    """It bears the slot's name: a second one must not start beside it."""
    slot = given_up()
    assert slot.handle(ProcessStarted(PID), 60.01) == []
    assert (slot.phase, slot.pid) == (Phase.STARTING, PID)
    assert slot.tick(70.0) == []
    slot.handle(LinkVerified(PID), 70.0)
    assert slot.handle(StateReported(PID, 'active'), 70.1) == [JoinPool()]


def test_a_process_told_of_when_none_is_wanted_any_more_is_ended():
    """It was given up, and the slot emptied: it is pressed, and its exit awaited."""
    slot = given_up()
    slot.set_goal(Goal.GONE, 60.0)
    assert slot.phase is Phase.EMPTY
    assert slot.handle(ProcessStarted(PID), 61.0) == []
    assert slot.set_goal(Goal.ACTIVE, 61.5) == []
    assert slot.tick(62.0) == [TerminateProcess(PID)]
    assert slot.handle(ProcessExited(PID, 'signal 15'), 62.1)[-1] == StartProcess('active')


def test_a_second_process_is_killed_and_the_first_left_alone():
    """Told so late that another one has the slot already."""
    slot = ready()
    stray = PID + 7
    assert slot.handle(ProcessStarted(stray), 0.1) == [
        KillProcess(stray, 'its start was told too late')
    ]
    assert slot.handle(ProcessStarted(PID), 0.1) == [], 'told twice of its own'
    assert slot.handle(ProcessExited(stray, 'signal 9'), 0.2) == []
    assert (slot.phase, slot.pid) == (Phase.READY, PID)


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


@pytest.mark.parametrize('make', [stopping, retiring])
def test_a_shorter_grace_shortens_a_longer_one(make):
    """At the end of the pipeline nobody waits for what a replacement would have been granted."""
    slot = make()
    assert slot.set_goal(Goal.GONE, 0.1, grace=1.0) == []
    assert of_kind(slot.tick(1.0), TerminateProcess) == []
    assert slot.tick(1.1) == [TerminateProcess(PID)]
    slot.set_goal(Goal.GONE, 1.2, grace=0.1)
    assert of_kind(slot.tick(1.5), KillProcess) == [], 'pressed already, at its own pace'


# -- two silences, and a hook that hangs -----------------------------------------------------------


@pytest.mark.parametrize(('make', 'state'), [(ready, 'active'), (cordoned, 'inactive')])
def test_a_worker_that_lives_is_not_silent(make, state: str):
    """A sign of life by another way makes up for heartbeats that are late."""
    slot = make()
    for tenth in range(1, 55):
        assert slot.handle(Alive(PID), tenth / 10) == []
        assert slot.tick(tenth / 10) == []
    assert (slot.state, slot.phase) == (state, make().phase)


@pytest.mark.parametrize('make', [ready, cordoned])
def test_a_worker_that_lives_and_is_not_heard_is_killed(make):
    """Without its heartbeats it cannot be worked with; the reason tells it from a dead one."""
    slot = make()
    for tenth in range(1, 61):
        slot.handle(Alive(PID), tenth / 10)
        assert slot.tick(tenth / 10) == []
    slot.handle(Alive(PID), 6.1)
    assert of_kind(slot.tick(6.1), KillProcess) == [
        KillProcess(PID, 'lives, but was not heard for 6.10 s')
    ]
    assert slot.phase is Phase.ENDING


def test_a_worker_that_shows_no_life_any_more_is_killed_as_soon_as_ever():
    """It does not matter by which way it was heard last."""
    slot = ready()
    slot.handle(Alive(PID), 0.5)
    assert slot.tick(1.5) == []
    assert of_kind(slot.tick(1.6), KillProcess) == [KillProcess(PID, 'no heartbeat for 1.10 s')]


def test_an_answer_to_the_probe_is_a_sign_of_life():
    """A worker linked long after its last heartbeat is not killed at the next tick."""
    slot = starting()
    slot.handle(StateReported(PID, 'active'), 1.0)
    assert slot.handle(LinkVerified(PID), 3.0) == [JoinPool()]
    assert slot.tick(3.9) == []
    assert of_kind(slot.tick(4.1), KillProcess) != []


def test_a_long_silence_in_dds_is_excused_too():
    """Nobody could listen to heartbeats either."""
    slot = ready()
    slot.excuse(2.0)
    for tenth in range(1, 81):
        slot.handle(Alive(PID), tenth / 10)
        assert slot.tick(tenth / 10) == []
    slot.handle(Alive(PID), 8.1)
    assert of_kind(slot.tick(8.1), KillProcess) != []


def test_a_worker_that_starts_may_be_silent():
    """An import may hold the interpreter's lock for long: only startup_timeout counts."""
    slot = starting()
    slot.handle(StateReported(PID, 'unconfigured'), 0.1)
    slot.handle(Alive(PID), 0.2)
    for now in range(1, 30):
        assert of_kind(slot.tick(float(now)), KillProcess) == []


@pytest.mark.parametrize('make', [ready, cordoned])
def test_a_hook_that_hangs_is_ended_after_startup_timeout(make):
    """Heartbeats go on, and tell the same transition; while it may still end, it is left to it."""
    slot = make()
    slot.handle(StateReported(PID, 'deactivating'), 0.5)
    assert slot.phase is Phase.CORDONED
    keep_up(slot, 30.5, 'deactivating', since=0.5)
    slot.handle(StateReported(PID, 'deactivating'), 30.6)
    assert slot.tick(30.6) == [KillProcess(PID, 'deactivating for 30.10 s')]
    assert slot.phase is Phase.ENDING


def test_a_hook_that_hangs_in_the_pause_is_ended_too():
    """READY it stays where we asked for the transition ourselves."""
    slot = ready()
    slot.set_goal(Goal.INACTIVE, 0.0)
    slot.handle(StateReported(PID, 'deactivating'), 0.5)
    assert slot.phase is Phase.READY
    keep_up(slot, 30.5, 'deactivating', since=0.5)
    slot.handle(StateReported(PID, 'deactivating'), 30.6)
    assert slot.tick(30.6) == [KillProcess(PID, 'deactivating for 30.10 s')]


def test_each_hook_has_its_own_time():
    """One transition after the other is no hang."""
    slot = cordoned()
    keep_up(slot, 20.0, 'cleaningup')
    keep_up(slot, 40.0, 'configuring', since=20.0)
    slot.excuse(10.0)
    keep_up(slot, 60.0, 'configuring', since=40.0)
    assert slot.phase is Phase.CORDONED, 'excused: nobody could hear whether it had ended'


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active'])
def test_a_state_in_which_no_hook_runs_may_last(state: str):
    """A worker taken out by hand stays out for as long as the hand likes."""
    slot = cordoned()
    slot.set_goal(Goal.INACTIVE, 0.0)
    keep_up(slot, 100.0, state)
    assert slot.phase is Phase.CORDONED


# -- adopting ------------------------------------------------------------------------------------


def test_an_adopted_process_is_linked_and_heard_like_any_other():
    """Nothing is started; it takes both before it joins the pool, and no restart is counted."""
    slot = adopted()
    assert (slot.pid, slot.started_at, slot.goal) == (PID, 0.0, Goal.ACTIVE)
    assert slot.handle(StateReported(PID, 'active'), 2.0) == []
    assert slot.reported_state(2.0) == 'starting'
    assert slot.handle(LinkVerified(PID), 2.1) == [JoinPool()]
    assert (slot.phase, slot.at_goal, slot.restarts) == (Phase.READY, True, 0)
    assert slot.reported_state(2.1) == 'active'


@pytest.mark.parametrize(
    ('state', 'goal', 'label'),
    [
        ('unconfigured', Goal.INACTIVE, 'configure'),
        ('inactive', Goal.ACTIVE, 'activate'),
        ('active', Goal.INACTIVE, 'deactivate'),
    ],
)
def test_an_adopted_process_that_is_not_at_the_goal_is_driven_there(
    state: str, goal: Goal, label: str
):
    """Nobody knows where it goes by itself: it is asked at once."""
    slot = adopted(goal)
    assert slot.handle(StateReported(PID, state), 1.0) == [RequestTransition(label)]
    assert slot.handle(StateReported(PID, state), 1.4) == []
    assert slot.handle(StateReported(PID, state), 1.5) == [RequestTransition(label)]


def test_an_adopted_process_has_time_to_be_discovered():
    """Until its first report it has the heartbeat's timeout and the grace; then it is killed."""
    slot = adopted()
    for second in range(1, 7):
        slot.handle(Alive(PID), float(second))
        assert slot.tick(float(second)) == []
    assert slot.tick(6.1) == [KillProcess(PID, 'not heard within 6 s of its adoption')]
    assert slot.phase is Phase.ENDING
    assert slot.handle(ProcessExited(PID, 'signal 9'), 6.2)[-1] == StartProcess('active')


def test_the_time_for_discovery_is_excused_too():
    """A manager held up as it starts has not listened."""
    slot = adopted()
    slot.excuse(3.0)
    for second in range(1, 10):
        slot.handle(Alive(PID), float(second))
        assert slot.tick(float(second)) == []
    assert of_kind(slot.tick(9.1), KillProcess) != []


def test_an_adopted_process_that_shows_no_life_is_not_waited_for():
    """It was stopped when its manager died; whether it lives is seen without discovery."""
    slot = adopted()
    slot.handle(Alive(PID), 0.2)
    assert slot.tick(1.2) == []
    assert slot.tick(1.3) == [KillProcess(PID, 'no heartbeat for 1.10 s')]


def test_an_adopted_process_that_was_heard_is_not_waited_for_in_silence():
    """It has done its imports long ago: a silent one is stopped, or hangs."""
    slot = adopted()
    slot.handle(StateReported(PID, 'active'), 3.0)
    slot.handle(Alive(PID), 3.5)
    assert slot.tick(4.5) == []
    assert slot.tick(4.6) == [KillProcess(PID, 'no heartbeat for 1.10 s')]


def test_an_adopted_process_that_lives_and_is_heard_no_more_is_killed():
    """Both silences are watched from its first report on."""
    slot = adopted()
    slot.handle(StateReported(PID, 'active'), 1.0)
    for tenth in range(11, 71):
        slot.handle(Alive(PID), tenth / 10)
        assert slot.tick(tenth / 10) == []
    slot.handle(Alive(PID), 7.1)
    assert slot.tick(7.1) == [KillProcess(PID, 'lives, but was not heard for 6.10 s')]


def test_an_adopted_process_that_cannot_be_linked_is_late_like_any_other():
    """Startup_timeout counts from when it was found: finding it may take longer than that."""
    slot = adopted()
    keep_up(slot, 30.0, since=0.5)
    slot.handle(StateReported(PID, 'active'), 30.9)
    assert slot.tick(30.9) == []
    assert slot.tick(31.0) == [KillProcess(PID, 'not ready within 30 s')]


def test_the_exit_of_an_adopted_process_is_like_any_other():
    """It counts as a restart, and its item in work is suspected."""
    slot = adopted()
    actions = slot.handle(ProcessExited(PID, 'signal 11'), 0.5)
    assert actions == [ReleaseItems('signal 11', suspect=True), StartProcess('active')]
    assert slot.restarts == 1
    slot.handle(ProcessStarted(PID + 1), 0.5)
    assert slot.tick(29.0) == [], 'its successor starts like any other'


def test_a_process_adopted_only_to_end_is_stopped():
    """Of a slot that is configured no more: pressed, awaited, and not filled anew."""
    slot = empty()
    assert slot.adopt(PID, Goal.GONE, 0.0) == []
    assert slot.phase is Phase.STOPPING
    assert slot.handle(StateReported(PID, 'active'), 0.6) == []
    assert slot.tick(0.7) == [RequestTransition('shutdown')]
    assert slot.tick(1.0) == [TerminateProcess(PID)]
    slot.handle(ProcessExited(PID, 'exit code 0'), 1.1)
    assert (slot.phase, slot.restarts) == (Phase.EMPTY, 0)


@pytest.mark.parametrize('make', [starting, ready, cordoned, ending, in_backoff, stopping])
def test_only_an_empty_slot_adopts(make):
    """Elsewhere there is, or will be, another process."""
    slot = make()
    with pytest.raises(IllegalMoveError, match='only an empty slot'):
        slot.adopt(PID + 50, Goal.ACTIVE, 0.0)


# -- retiring ------------------------------------------------------------------------------------


def test_a_retired_worker_is_replaced_at_once_when_it_is_gone():
    """Asked to end, and followed by another: no restart is counted, nobody is suspected."""
    slot = retiring()
    assert slot.handle(StateReported(PID, 'active'), 0.1) == []
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 1.0) == [
        ReleaseItems('exit code 0', suspect=False),
        StartProcess('active'),
    ]
    assert (slot.phase, slot.restarts) == (Phase.STARTING, 0)
    slot.handle(ProcessStarted(PID + 1), 1.0)
    assert slot.handle(ProcessExited(PID + 1, 'signal 9'), 1.1)[-1] == StartProcess('active'), (
        'the first restart is immediate still'
    )


def test_a_retired_worker_is_pressed_after_its_grace():
    """As one that is stopped."""
    slot = retiring(grace=60.0)
    for half in range(1, 120):
        assert slot.tick(half / 2) == [RequestTransition('shutdown')]
    assert slot.tick(60.0) == [TerminateProcess(PID)]
    assert slot.tick(60.5) == [KillProcess(PID, 'did not end in time')]
    assert slot.phase is Phase.STOPPING
    assert slot.handle(ProcessExited(PID, 'signal 9'), 60.6)[-1] == StartProcess('active')


def test_a_worker_that_starts_is_retired_too():
    """What it is starting with is not what is wanted any more."""
    slot = starting()
    slot.handle(StateReported(PID, 'inactive'), 0.1)
    assert slot.retire(0.2, 1.0) == [RequestTransition('shutdown')]
    assert slot.handle(LinkVerified(PID), 0.3) == []
    assert slot.handle(StateReported(PID, 'active'), 0.3) == [], 'it does not join any more'
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.4)[-1] == StartProcess('active')


def test_a_worker_whose_process_is_not_told_yet_is_retired_too():
    """It is pressed as soon as it is known."""
    slot = empty()
    slot.set_goal(Goal.ACTIVE, 0.0)
    assert slot.retire(0.1, 1.0) == []
    slot.handle(ProcessStarted(PID), 0.2)
    assert slot.tick(1.1) == [TerminateProcess(PID)]
    assert slot.handle(ProcessExited(PID, 'signal 15'), 1.2)[-1] == StartProcess('active')


def test_a_cordoned_worker_is_retired_too():
    """Its successor goes where the slot should be."""
    slot = cordoned()
    assert slot.retire(0.2, 1.0) == [RequestTransition('shutdown')]
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.4)[-1] == StartProcess('active')


def test_a_retired_worker_wanted_no_more_simply_ends():
    """Nobody takes its place."""
    slot = retiring()
    assert slot.set_goal(Goal.GONE, 0.1, grace=5.0) == []
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.4) == [
        ReleaseItems('exit code 0', suspect=False)
    ]
    assert slot.phase is Phase.EMPTY


def test_the_successor_of_a_retired_worker_has_the_newest_goal():
    """A pause that came meanwhile counts for it."""
    slot = retiring()
    assert slot.set_goal(Goal.INACTIVE, 0.1) == []
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.4)[-1] == StartProcess('inactive')


@pytest.mark.parametrize('make', [empty, ending, in_backoff, stopping, retiring])
def test_where_there_is_nobody_to_retire_nothing_happens(make):
    """Whoever comes next comes as is wanted now."""
    slot = make()
    phase, due = slot.phase, slot._due_at
    assert slot.retire(0.0, 60.0) == []
    assert (slot.phase, slot._due_at) == (phase, due)


# -- health, and pardon --------------------------------------------------------------------------


def fail(slot: Supervision, times: int, now: float) -> None:
    """Let starts of the slot fail, one as soon as the other is due."""
    for _ in range(times):
        slot.tick(max(now, slot._due_at) if slot.phase is Phase.BACKOFF else now)
        assert slot.phase is Phase.STARTING
        slot.handle(ProcessExited(slot.pid, 'exit code 1'), now)


def test_a_slot_that_never_comes_up_stays_failed():
    """However long its starts take and its waits are, time alone does not make it well."""
    slot = empty(limit=2, window=30.0)
    slot.set_goal(Goal.ACTIVE, 0.0)
    now = 0.0
    for pid in range(PID, PID + 20):
        slot.handle(ProcessStarted(pid), now)
        now += 40.0
        slot.handle(ProcessExited(pid, 'exit code 1'), now)
        if pid > PID + 2:
            assert slot.reported_state(now) == 'failed'
            assert slot._due_at - now >= 5.0, 'at the longest backoff'
        if slot.phase is Phase.BACKOFF:
            now = slot._due_at
            assert slot.tick(now) == [StartProcess('active')]


def test_a_while_of_health_makes_a_slot_well_again():
    """Up for restart_window, in READY: the next restart is immediate."""
    slot = empty(limit=2, window=30.0)
    slot.set_goal(Goal.ACTIVE, 0.0)
    fail(slot, 3, 0.0)
    slot.tick(slot._due_at)
    slot.handle(ProcessStarted(PID), 20.0)
    slot.handle(StateReported(PID, 'active'), 20.0)
    slot.handle(LinkVerified(PID), 20.0)
    assert slot.policy.failing(50.0)
    assert not slot.policy.failing(50.1)
    assert slot.handle(ProcessExited(PID, 'signal 9'), 50.1)[-1] == StartProcess('active')


def test_a_cordoned_worker_is_well():
    """Its time counts as that of one at work."""
    slot = empty(limit=0, window=30.0)
    slot.set_goal(Goal.ACTIVE, 0.0)
    fail(slot, 1, 0.0)
    slot.handle(ProcessStarted(PID), 0.0)
    slot.handle(LinkVerified(PID), 10.0)
    slot.handle(StateReported(PID, 'active'), 10.0)
    slot.handle(StateReported(PID, 'inactive'), 20.0)
    slot.handle(StateReported(PID, 'active'), 30.0)
    assert slot.policy.failing(40.0)
    assert not slot.policy.failing(40.1)


@pytest.mark.parametrize(
    'leave',
    [
        lambda slot: slot.handle(LimitExceeded(PID, 'too long'), 10.0),
        lambda slot: slot.handle(ProcessExited(PID, 'signal 9'), 10.0),
        lambda slot: slot.retire(10.0, 1000.0),
        lambda slot: slot.set_goal(Goal.GONE, 10.0),
    ],
)
@pytest.mark.parametrize('by_hand', [False, True])
def test_health_ends_where_ready_ends(leave, by_hand: bool):
    """Killed, gone or on its way out, a worker is well no longer."""
    slot = empty(limit=0, window=30.0)
    slot.set_goal(Goal.ACTIVE, 0.0)
    fail(slot, 1, 0.0)
    slot.handle(ProcessStarted(PID), 0.0)
    slot.handle(LinkVerified(PID), 0.0)
    slot.handle(StateReported(PID, 'active'), 0.0)
    if by_hand:
        slot.handle(StateReported(PID, 'inactive'), 5.0)
    leave(slot)
    assert slot.policy.failing(1000.0)


def test_a_pardon_starts_a_waiting_slot_at_once():
    """The worker died of an item that is in quarantine now: nothing is left to wait for."""
    slot = in_backoff()
    assert slot.pardon(0.0) == [StartProcess('active')]
    assert (slot.phase, slot.restarts) == (Phase.STARTING, 2), 'the count people see stays'
    assert slot.tick(0.2) == [], 'one start'


def test_a_pardoned_restart_makes_no_later_one_wait():
    """The policy has forgotten it, and the count people see has not."""
    slot = ready(limit=0)
    slot.handle(ProcessExited(PID, 'signal 9'), 0.0)
    assert slot.pardon(0.0) == [], 'it is starting already'
    assert slot.reported_state(0.0) == 'replacing'
    slot.handle(ProcessStarted(PID + 1), 0.0)
    assert slot.handle(ProcessExited(PID + 1, 'signal 9'), 0.1)[-1] == StartProcess('active')
    assert slot.restarts == 2
    assert slot.reported_state(0.1) == 'failed'


@pytest.mark.parametrize('make', [empty, starting, ready, cordoned, ending, stopping, retiring])
def test_a_pardon_elsewhere_starts_nothing(make):
    """There is a process, or none is wanted."""
    slot = make()
    phase = slot.phase
    assert slot.pardon(0.0) == []
    assert slot.phase is phase


def test_a_pardon_for_a_slot_wanted_no_more_starts_nothing():
    """Its wait has ended with its goal."""
    slot = in_backoff()
    slot.set_goal(Goal.GONE, 0.0)
    assert slot.pardon(0.0) == []
    assert slot.phase is Phase.EMPTY


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
