# SPDX-License-Identifier: Apache-2.0
"""The replacement of a worker after so many items, or after so long."""

from __future__ import annotations

import math
import random

# Workers that were started together are due at different times: at this share of the limit, or up
# to all of it.
LEAST_SHARE = 0.9


class Recycling:
    """Decides when one worker process has done its share.

    Args:
        random_source: draws the share of the limits that applies to this process.
    """

    def __init__(self, random_source: random.Random | None = None) -> None:
        self._share = (random_source or random.Random()).uniform(LEAST_SHARE, 1.0)

    def reason(self, items: int, age: float, max_items: int, max_age: float) -> str:
        """Return why the worker is to be replaced, '' if it is not.

        Args:
            items: how many it has processed.
            age: s since it was started.
            max_items: how many it may process; 0: any number.
            max_age: s; 0: any age.
        """
        if max_items and items >= math.ceil(max_items * self._share):
            return f'it has processed {items} items; max_items_per_worker is {max_items}'
        if max_age and age >= max_age * self._share:
            return f'it is {age:.1f} s old; max_worker_age is {max_age:g} s'
        return ''
