"""The documentation of storms: their figures, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from storm import peers
from storm.course import PACE, WORKERS, Settings
from storm.frame_watch import MAPPED_PERIOD
from storm.frames import STEP, WIDTH
from storm.report import markdown_table

_HEAD = """# {title}

Written by `python -m storm {arguments}`; not to be edited by hand. `make storm{make}` does the
same on your machine.

## Figures

{table}

{verdict} {repeats}

## Machine

{machine}

## What it is

"""

_PLAIN = """\
A pipeline of three stages of {workers} workers, run as a user runs it, with `journal: true`.
From outside {items} items are fed into the first, at most {window} at once on their way. Every
{kill_period:g} s something is done to a random worker: it is killed, ended, crashed or stopped, or
its own code is made to exit, to crash in native code, to raise, to sleep or loop for ever, or to
hold the GIL for ever. {manager_kill_period:g} s after the first item has come out under it, the
manager is killed with SIGKILL and started again with the same parameters; the feeder sends again
what has not come out, and what was accepted before is refused as known already. Some items are
poison: they kill whoever processes them, each time, and must end in quarantine, they and no others.
The last stage remembers: it counts the items it has applied, and chains their numbers with a hash.
So its messages prove what was applied, in which order, and whether once or twice, also where the
listener outside missed some of them.

**Lost**: neither applied nor in quarantine. **Doubled**: applied twice by the stage that
remembers. **Heard twice outside**: the same message of an item applied once; after the death of a
manager its successor sends the last ones again, which may not have been received. **Not heard
outside**: applied, and its message was missed by the listener, as topics do not keep what was sent
while nobody listened.

**The peers** are given as many items through one stage of {peer_workers} worker processes, each
item {seconds:g} s of sleep as in the pipeline's first two stages, one of them killed with SIGKILL
every {kill_period:g} s. *{queue}*: a loop that starts a new process for each dead one. The dead
worker's item is gone; and one that dies while it holds a queue's lock stops the pool for good,
which is given up after {silence:g} s of silence. *{executor}*: each death breaks the executor; a
new one is made, and goes on with what had not been submitted. What had been submitted, here up to
{window} items, is gone; with less on its way it would be less with each death. Neither has a stop,
a hang, a poison or a death of its own to bear, and no order to keep.
"""

_FRAMES = """A pipeline of three stages of {workers} workers, run as a user runs it, with
`journal: true` and `frame_memory` {frame_memory:g} MB. From outside {items} items are fed into the
first. It makes an image of each (bgr8, {width}x{frame_height}, {size:.1f} MB), whose pixels all
come from the item's number, and carry it and a checksum of themselves. The second looks at each
image where it is, and makes another of it; the third looks at that one, remembers the items it has
applied, and tells of them, as in the [storm](storm.md) without images. Every {kill_period:g} s
something is done to a random worker, as there; {manager_kill_period:g} s after the first item has
come out under it, the manager is killed with SIGKILL and started again.

**Torn**: what was not the image that it should be, when a stage was given it, when it had done its
work, or after its next item: each keeps the last one for so long. **Gone before they were read**:
needed, and not there any more. **By sockets**: not by shared memory, as there was no room in it.
**Frame memory**: what images take of shared memory, also of files that were removed and that
somebody has mapped still; looked at every {pace:g} s, and what is mapped every {mapped_period:g} s.
"""


def document(
    columns: dict[str, dict[str, Any]],
    settings: Settings,
    seeds: Sequence[int],
    machine: dict[str, str],
    good: bool,
) -> str:
    """The whole document."""
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
            'pace': PACE,
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
