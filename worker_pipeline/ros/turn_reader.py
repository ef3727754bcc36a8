# SPDX-License-Identifier: Apache-2.0
"""Reads subscriptions in turns while more messages come than are to be handled one by one.

rclpy's events executor handles an event for each message, in the order in which they came. After a
burst, timers and everything else that the process does wait until the whole of it is handled. In
turns they wait for one turn at most, and a message costs half as much.

DDS's thread, which receives, and the executor's, which takes, lock the subscription for each
message. Both run on one processor while there are turns, and the turns are long and rare: otherwise
they wait for each other for longer than they work (measured in docs/decisions/0027-refusing.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from rclpy.clock import Clock, ClockType

from worker_pipeline.ros.lifecycle import ManagedNode
from worker_pipeline.system.one_processor import of_process

# Once in a PERIOD a turn: up to so many messages of each input, and for so long unless one takes
# longer.
PERIOD = 0.03  # s
TURN_MESSAGES = 5000
TURN_TIME = 0.05  # s


class RawSubscription(NamedTuple):
    """A subscription to serialised messages, and what is called with each of them."""

    subscription: Any  # of rclpy
    callback: Callable[[bytes], None]


class TurnReader:
    """Takes over subscriptions from the executor, and gives them back.

    Args:
        node: Theirs.
        inputs: Returns the subscriptions that there are now, by input: the former ones first.
        on_turn: Called with the number of messages of each turn.
    """

    def __init__(
        self,
        node: ManagedNode,
        inputs: Callable[[], list[list[RawSubscription]]],
        on_turn: Callable[[int], None],
    ) -> None:
        self._node = node
        self._inputs = inputs
        self._on_turn = on_turn
        self._timer: Any = None
        self._has_all = False  # whether the executor reads none of them
        self._withheld: list[Any] = []

    def begin(self) -> None:
        """Read in turns from now on."""
        if not self._has_all:
            self._has_all = True
            self._withhold(_subscriptions(self._inputs()))
            of_process.gather()
        if self._timer is None:
            # Steady, as simulated time may stand still, and the system's clock may be set back.
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self._node.create_timer(PERIOD, self._read, clock=steady)

    def end(self) -> None:
        """Let the executor read again; turns go on until one finds nothing.

        The executor is told of new messages only, so none may be left behind.
        """
        if self._has_all:
            self._has_all = False
            self._withhold([])
            of_process.release()

    def close(self) -> None:
        """End without reading what is left."""
        self.end()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def _withhold(self, subscriptions: list[Any]) -> None:
        self._withheld = subscriptions
        self._node.withhold(subscriptions)

    def _read(self) -> None:
        inputs = self._inputs()
        present = _subscriptions(inputs)
        if self._has_all and present != self._withheld:  # one of them was replaced
            self._withhold(present)
        messages = _take_in_shares(inputs, time.monotonic() + TURN_TIME)
        self._on_turn(messages)
        if not messages and not self._has_all:
            self.close()


def _subscriptions(inputs: list[list[RawSubscription]]) -> list[Any]:
    return [each.subscription for subscriptions in inputs for each in subscriptions]


def _take_in_shares(inputs: list[list[RawSubscription]], end: float) -> int:
    """Handle messages of all inputs until a turn ends; return how many.

    Each has the same share of the time, so that a flood on one does not hold up another one.
    What one does not need goes to the others.
    """
    messages = 0
    waiting = [(each, TURN_MESSAGES) for each in inputs]
    while waiting:
        before, waiting = waiting, []
        for shares, (each, most) in zip(range(len(before), 0, -1), before, strict=True):
            now = time.monotonic()
            taken, is_empty = _take_from(each, most, now + (end - now) / shares)
            messages += taken
            if not is_empty and taken < most:
                waiting.append((each, most - taken))
        if time.monotonic() >= end:
            break
    return messages


def _take_from(subscriptions: list[RawSubscription], most: int, end: float) -> tuple[int, bool]:
    """Handle messages of an input, as ``_take`` does.

    A former subscription is emptied before its successor is read, so that the messages of one
    publisher, which both of them receive, stay in order.
    """
    messages = 0
    for each in subscriptions:
        taken, is_empty = _take(each, most - messages, end)
        messages += taken
        if not is_empty:
            return messages, False
    return messages, True


def _take(each: RawSubscription, most: int, end: float) -> tuple[int, bool]:
    """Handle messages until there are no more, ``most`` were, or a share of a turn ends.

    Returns how many, and whether there are no more.
    """
    handle, message_type = each.subscription.handle, each.subscription.msg_type
    with handle:
        for count in range(most):
            taken = handle.take_message(message_type, True)
            if taken is None:
                return count, True
            each.callback(taken[0])
            if time.monotonic() >= end:
                return count + 1, False
    return most, False
