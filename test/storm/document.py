# SPDX-License-Identifier: Apache-2.0
"""The documents of storms: figures and method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from storm import peers
from storm.frame_watch import MAPPED_PERIOD
from storm.frames import STEP, WIDTH
from storm.report import markdown_table
from storm.settings import WORKERS, Settings
from storm.storm_run import POLL_PERIOD

_HEAD = """# {title}

Written by `python -m storm {arguments}`; do not edit. `make storm{make}` does the same on your
machine.

## Figures

{table}

{verdict} {repeats}

## Machine

{machine}

## Method

"""

_PLAIN = """\
A pipeline of three stages of {workers} workers, run as a user runs it, with `journal: true`.
{items} items are fed into the first stage from outside, with at most {window} in flight. Every
{kill_period:g} s a random worker suffers a fault: it is killed, terminated, crashed or stopped, or
its own code exits, crashes in native code, raises, sleeps or loops for ever, or holds the GIL for
ever. {manager_kill_period:g} s after the first item has come out, the manager is killed with
SIGKILL, and restarted by its guardian; every fourth time the guardian is killed, and started again
with the same parameters. The feeder resends what has not come out, and what was accepted before is
rejected as a duplicate. Some items are poison: they kill every worker that
processes them, and they and no others must end in quarantine. The last stage remembers: it counts
the items it has applied, and chains their numbers with a hash. So its messages prove what was
applied, in which order, and whether once or twice, even if the subscriber outside missed some of
them.

**Lost**: neither applied nor in quarantine. **Doubled**: applied twice by the stage that
remembers. **Received twice outside**: the same message of an item applied once; after the death of
a manager its successor publishes the last ones again, which may not have been received. **Not
received outside**: applied, and its message was missed by the subscriber, as topics do not keep
what is published while nobody subscribes.

**The peers** process as many items with one stage of {peer_workers} worker processes, each item
{seconds:g} s of sleep as in the pipeline's first two stages, one of them killed with SIGKILL every
{kill_period:g} s. *{queue}*: a loop that starts a new process for each dead one. The dead worker's
item is lost; and one that dies while it holds a queue's lock stops the pool permanently, which is
abandoned after {silence:g} s without an answer. *{executor}*: each death breaks the executor; a new
one is created and continues with what had not been submitted. What had been submitted, here up to
{window} items, is lost; with fewer in flight each death would cost less. Neither peer has to
survive stops, hangs, poison or its own death, or to keep an order.
"""

_FRAMES = """\
A pipeline of three stages of {workers} workers, run as a user runs it, with `journal: true` and
`frame_memory` {frame_memory:g} MB. {items} items are fed into the first stage from outside. It
makes an image of each (bgr8, {width}x{frame_height}, {size:.1f} MB), whose pixels derive from the
item's number, and contain it and a checksum. The second checks each image in place, and makes
another of it; the third checks that one, remembers the items it has applied, and reports them, as
in the [storm](storm.md) without images. Every {kill_period:g} s a random worker suffers a fault, as
there; {manager_kill_period:g} s after the first item has come out, the manager, or its guardian, is
killed with SIGKILL and restarted.

**Torn**: an image with wrong pixels, when a stage received it, when it had finished its work, or
after its next item: each stage keeps its last image for so long. **Gone before they were read**:
needed, and no longer there. **By sockets**: not through shared memory, for lack of room. **Frame
memory**: what images take of shared memory, including removed files that some process still has
mapped; sampled every {pace:g} s, and mappings every {mapped_period:g} s.
"""


def document(
    columns: dict[str, dict[str, Any]],
    settings: Settings,
    seeds: Sequence[int],
    machine: dict[str, str],
    good: bool,
) -> str:
    """Return the whole document."""
    times = 'One storm' if len(seeds) == 1 else f'{len(seeds)} storms, their figures added up'
    about = {
        'table': markdown_table(columns),
        'verdict': 'Every promise was kept.' if good else '**Not every promise was kept.**',
        'repeats': f'{times}; {"seed" if len(seeds) == 1 else "seeds"} '
        f'{", ".join(map(str, seeds))}.',
        'machine': '\n'.join(f'- {key}: {value}' for key, value in machine.items()),
        'workers': ', '.join(str(count) for count in WORKERS.values()),
    }
    if settings.frames:
        about |= {
            'title': 'Storms of camera frames',
            'arguments': '--frames --write docs/storm_frames.md',
            'make': " STORM_ARGS='--frames'",
            'width': WIDTH,
            'size': settings.frame_height * STEP / 1e6,
            'pace': POLL_PERIOD,
            'mapped_period': MAPPED_PERIOD,
        }
    else:
        about |= {
            'title': 'Storms',
            'arguments': '--write docs/storm.md',
            'make': '',
            'peer_workers': peers.WORKERS,
            'queue': peers.TITLES['queue'],
            'executor': peers.TITLES['executor'],
            'silence': peers.SILENCE,
        }
    text = _HEAD + (_FRAMES if settings.frames else _PLAIN)
    return text.format(**attrs.asdict(settings) | about)
