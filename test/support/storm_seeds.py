# SPDX-License-Identifier: Apache-2.0
"""The seeds of long random histories, chosen by the environment."""

from __future__ import annotations

import os
import random


def storm_seeds(steps: int, steps_per_seed: int) -> range:
    """Return the seeds of a storm.

    Args:
        steps: How many steps all histories have together, unless ``STORM_STEPS`` says otherwise.
        steps_per_seed: How many one history has.

    Returns:
        Successive seeds, from ``STORM_SEED`` or a random one.
    """
    wanted = int(os.environ.get('STORM_STEPS', steps))
    first = int(os.environ.get('STORM_SEED', random.SystemRandom().randrange(2**32)))
    return range(first, first + -(-wanted // steps_per_seed))
