# SPDX-License-Identifier: Apache-2.0
"""Whether a process has stood still for so long that others have forgotten it.

A node that receives nothing from a DDS participant for the length of its lease takes it for dead
and forgets it. The participant itself forgets no node: when it continues, only the node discovers
anew. Fast DDS does not always recover from that. The node requests all endpoints by a message that
it sends only if no heartbeat has come before; the participant ignores its later requests for those
that the node had acknowledged before the pause. Then the node never sees some, or all, of the
endpoints. A new participant has no such past with any node, so the process needs one.
"""

from __future__ import annotations

from worker_pipeline.core.hold_up import HoldUp

# After a hold-up of a lease less this, others may have forgotten this process, s: its last
# announcement may have come late.
MARGIN = 1.0
# For how long the process still reads messages of the pause before it takes a new participant, s:
# less than outputs wait (manager/output_publisher.py), which else would be published twice.
READING = 0.7
# A process that used so large a share of a hold-up as CPU time was not stopped: its executor was
# busy, and DDS, which has threads of its own, was not.
BUSY = 0.5


class Absence:
    """Decides when a process has to take a new participant.

    Args:
        lease: For how long others take this process for alive, s.
        is_reachable: Whether others may be on another machine, whose clock does not stand still
            when this one is suspended.
    """

    def __init__(self, lease: float, *, is_reachable: bool) -> None:
        self._lease = lease
        self._is_reachable = is_reachable
        self._due_at = float('inf')
        self._cpu_time: float | None = None  # None: no tick yet

    def tick(self, hold_up: HoldUp, cpu_time: float, now: float) -> bool:
        """Return whether a new participant is due now; once for each absence.

        Args:
            hold_up: For how long the process had stood still before this tick.
            cpu_time: That the process has used so far, s.
            now: s.
        """
        before, self._cpu_time = self._cpu_time, cpu_time
        if before is None:
            return False  # a slow start: nobody has forgotten a participant that is new
        seconds = hold_up.total if self._is_reachable else hold_up.seconds
        if seconds >= self._lease - MARGIN and cpu_time - before < BUSY * seconds:
            self._due_at = now + READING
        if now < self._due_at:
            return False
        self._due_at = float('inf')
        return True
