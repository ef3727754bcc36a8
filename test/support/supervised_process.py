# SPDX-License-Identifier: Apache-2.0
"""A simulated process of a slot: what it can do, and what may be wrong with it."""

from __future__ import annotations

from worker_pipeline.core.supervision_table import (
    Phase,
    Timing,
)

TIMING = Timing(
    heartbeat_timeout=1.0,
    startup_timeout=5.0,
    request_retry=0.5,
    terminate_grace=0.5,
    adoption_grace=2.0,
    status_grace=1.5,
)
BACKOFF_MAX = 2.0
# Short, so that histories see it pass, and no sum of their waits.
WINDOW = 4.95
TICK = 0.1  # s between two ticks, as in the nodes
TRANSITIONS = {
    ('unconfigured', 'configure'): 'inactive',
    ('inactive', 'activate'): 'active',
    ('active', 'deactivate'): 'inactive',
    ('inactive', 'cleanup'): 'unconfigured',
    ('unconfigured', 'shutdown'): 'finalized',
    ('inactive', 'shutdown'): 'finalized',
    ('active', 'shutdown'): 'finalized',
}
COMES_TO_BE = {'configuring': 'inactive', 'activating': 'active', 'deactivating': 'inactive'}
STATES = ('unconfigured', 'configuring', 'inactive', 'activating', 'active', 'deactivating')
PRIMARY = ('unconfigured', 'inactive', 'active', 'finalized')
AT_WORK = (Phase.READY, Phase.CORDONED)


class Process:
    """A simulated process, of which the supervision learns by events only."""

    def __init__(self, pid: int, target: str, born: float, *, adopted: bool = False) -> None:
        self.pid = pid
        self.target = target
        self.adopted = adopted
        self.alive = True
        self.exit_reported = False
        self.stopped = False  # by SIGSTOP
        self.hung = False  # in a hook: it neither drives itself nor obeys requests
        self.mute = False  # it lives, and nothing of it comes by DDS
        self.state = 'unconfigured'
        self.requests: list[str] = []
        self.linked = False
        # The reports about it.
        self.lived_at = self.reported_at = self.state_at = born
        self.ready_by = born + TIMING.startup_timeout
        self.reported = ''
        self.limit_reported = False

    @property
    def shows_life(self) -> bool:
        return self.alive and not self.stopped

    @property
    def can_report(self) -> bool:
        return self.shows_life and not self.mute

    def faults(self, phase: Phase, now: float) -> set[str]:
        """Return the faults for which it may be killed."""
        patience = TIMING.heartbeat_timeout
        found = set()
        if self.limit_reported:
            found.add('limit')
        if self.reported in ('finalized', 'errorprocessing'):
            found.add('state')
        if phase is Phase.STARTING and self.adopted and not self.reported:
            if now - self.lived_at > patience:
                found.add('silence')
            if now - self.reported_at > patience + TIMING.adoption_grace:
                found.add('adoption')
            return found
        if phase is Phase.STARTING and now >= self.ready_by:
            found.add('startup')
        if phase in AT_WORK or self.adopted:
            if now - self.lived_at > patience:
                found.add('silence')
            if now - self.reported_at > patience + TIMING.status_grace:
                found.add('link')
        hook_for = 0.0 if self.reported in PRIMARY else now - self.state_at
        if phase in AT_WORK and hook_for > TIMING.startup_timeout:
            found.add('hang')
        return found

    def step(self) -> None:
        """Make one transition towards the target, or the requested one."""
        if self.hung or not self.shows_life:
            return
        if self.state in COMES_TO_BE:
            self.state = COMES_TO_BE[self.state]
        elif self.requests:
            self.state = TRANSITIONS.get((self.state, self.requests.pop(0)), self.state)
        elif self.target and self.state != self.target:
            label = {'unconfigured': 'configure', 'inactive': 'activate'}.get(self.state)
            if label is not None:
                self.state = TRANSITIONS[self.state, label]
        if self.state == self.target:
            self.target = ''  # from now on it only obeys requests
        if self.state == 'finalized':
            self.alive = False
