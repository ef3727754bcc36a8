# SPDX-License-Identifier: Apache-2.0
"""The quality of service that a subscription demands, so that it matches all publishers."""

from __future__ import annotations

from collections.abc import Collection

import attrs


@attrs.frozen
class Qos:
    """What a publisher offers, or a subscription demands."""

    is_reliable: bool
    is_latched: bool  # late joiners get the last messages


class MatchedQos:
    """Follows the publishers of a topic: the most that all of those there now offer.

    DDS reports a publisher that does not match, often before the graph lists it. Such a refusal
    counts until the graph lists a publisher of that kind; from then on the list alone decides, and
    when that publisher is gone, more is demanded again.
    """

    def __init__(self) -> None:
        # Policies that a publisher does not offer which is not listed yet.
        self._reliability_refused = self._durability_refused = False

    def refuse_reliability(self) -> None:
        """Note that there is a best-effort publisher."""
        self._reliability_refused = True

    def refuse_durability(self) -> None:
        """Note that there is a volatile publisher."""
        self._durability_refused = True

    def settle(self) -> None:
        """Forget refusals by publishers that were never listed: these are gone again."""
        self._reliability_refused = self._durability_refused = False

    def demand(self, offers: Collection[Qos]) -> Qos:
        """Return what to demand. ``offers``: of the publishers that the graph lists."""
        are_reliable = all(each.is_reliable for each in offers)
        are_latched = all(each.is_latched for each in offers)
        self._reliability_refused &= are_reliable
        self._durability_refused &= are_latched
        return Qos(
            is_reliable=are_reliable and not self._reliability_refused,
            # A subscription that demands it would get the history of whoever comes first.
            is_latched=bool(offers) and are_latched and not self._durability_refused,
        )
