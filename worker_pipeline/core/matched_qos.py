# SPDX-License-Identifier: Apache-2.0
"""The quality of service that a subscription demands, so that it matches all publishers."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import NamedTuple

# After publishers have come or gone, how often to look at the graph, and for how long: it may list
# that later than DDS reports it. Otherwise it is looked at rarely.
LOOK_PERIOD, SETTLE_TIME, REST_PERIOD = 0.25, 3.0, 5.0  # s


class Offer(NamedTuple):
    """What a publisher offers."""

    publisher: Hashable  # its identity
    is_reliable: bool
    is_latched: bool  # late joiners get the last messages


class Demand(NamedTuple):
    """What a subscription demands."""

    is_reliable: bool = True
    is_latched: bool = False


class MatchedQos:
    """Follows the publishers of a topic: the most that all of those there now offer.

    DDS reports a publisher that does not match, often before the graph lists it. Such a refusal
    counts until the graph lists a publisher of that kind, or for ``SETTLE_TIME``; from then on the
    list alone decides, and when that publisher is gone, more is demanded again.

    A subscription that demands latched messages gets all that the publishers have kept. So it is
    not demanded again of publishers that have been received without it: it would repeat them.

    Args:
        now: s.
    """

    def __init__(self, now: float) -> None:
        self.demand = Demand()
        # Until when refusals count by publishers that are not listed yet, s.
        self._reliability_refused_until = self._durability_refused_until = float('-inf')
        # Publishers that were there while latched messages were not demanded.
        self._received: frozenset[Hashable] = frozenset()
        self._changed_at, self._looked_at = now, float('-inf')

    def publishers_changed(self, now: float) -> None:
        """Note that publishers have come or gone. ``now``: s."""
        self._changed_at, self._looked_at = now, float('-inf')

    def refuse_reliability(self, now: float) -> None:
        """Note that there is a best-effort publisher. ``now``: s."""
        self._reliability_refused_until = now + SETTLE_TIME
        self.publishers_changed(now)

    def refuse_durability(self, now: float) -> None:
        """Note that there is a volatile publisher. ``now``: s."""
        self._durability_refused_until = now + SETTLE_TIME
        self.publishers_changed(now)

    def is_due(self, now: float) -> bool:
        """Return whether to look at the graph and call ``look``. ``now``: s."""
        is_settling = now - self._changed_at <= SETTLE_TIME + LOOK_PERIOD
        return now - self._looked_at >= (LOOK_PERIOD if is_settling else REST_PERIOD)

    def look(self, offers: Collection[Offer], now: float) -> Demand:
        """Return what to demand from now on.

        Args:
            offers: of the publishers that the graph lists.
            now: s.
        """
        self._looked_at = now
        are_reliable = all(each.is_reliable for each in offers)
        are_latched = all(each.is_latched for each in offers)
        if not are_reliable:
            self._reliability_refused_until = now
        if not are_latched:
            self._durability_refused_until = now
        publishers = frozenset(each.publisher for each in offers)
        is_latched = (
            bool(offers)
            and are_latched
            and now >= self._durability_refused_until
            and (self.demand.is_latched or not publishers <= self._received)
        )
        self._received = frozenset() if is_latched else publishers
        self.demand = Demand(are_reliable and now >= self._reliability_refused_until, is_latched)
        return self.demand
